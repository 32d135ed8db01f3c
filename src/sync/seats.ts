/** Runs of this process that read and plan at once: each holds pages of people and a part of its list in memory. */
const SEATS = 4;
/** A project whose Mixpanel is slow must not keep the others from reading. */
const SEATS_OF_A_PROJECT = 3;

/** Places for the part of a run that needs memory. */
export interface Seats {
  open(projectId: string, signal: AbortSignal): Seat;
}

/** That of one run. */
export interface Seat {
  /** Does the work once there is a seat for it. Throws the signal's reason when that comes first. */
  hold<T>(work: () => Promise<T>): Promise<T>;
  /** Within hold: gives the seat up for something that mostly waits, and is the first to get one afterwards. */
  aside<T>(wait: () => Promise<T>): Promise<T>;
}

interface Waiter {
  projectId: string;
  sit: () => void;
}

export function createSeats(): Seats {
  /** In order; whose project has its seats is passed over. */
  const waiting: Waiter[] = [];
  const taken: string[] = [];

  function fill() {
    const canSit = ({ projectId }: Waiter) =>
      taken.length < SEATS && taken.filter((other) => other === projectId).length < SEATS_OF_A_PROJECT;
    for (let next = waiting.findIndex(canSit); next >= 0; next = waiting.findIndex(canSit)) {
      const [waiter] = waiting.splice(next, 1);
      taken.push(waiter!.projectId);
      waiter!.sit();
    }
  }

  function stand(projectId: string) {
    taken.splice(taken.indexOf(projectId), 1);
    fill();
  }

  function sit(projectId: string, signal: AbortSignal, { isFirst }: { isFirst: boolean }): Promise<void> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const onAbort = () => {
        waiting.splice(waiting.indexOf(waiter), 1);
        reject(signal.reason);
      };
      const waiter: Waiter = {
        projectId,
        sit() {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      waiting.splice(isFirst ? 0 : waiting.length, 0, waiter);
      fill();
    });
  }

  return {
    open(projectId, signal) {
      let isSeated = false;
      const take = async (isFirst: boolean) => {
        await sit(projectId, signal, { isFirst });
        isSeated = true;
      };
      const leave = () => {
        if (isSeated) stand(projectId);
        isSeated = false;
      };
      return {
        async hold(work) {
          await take(false);
          try {
            return await work();
          } finally {
            leave();
          }
        },
        async aside(wait) {
          if (!isSeated) return await wait();
          leave();
          try {
            return await wait();
          } finally {
            if (!signal.aborted) await take(true);
          }
        },
      };
    },
  };
}
