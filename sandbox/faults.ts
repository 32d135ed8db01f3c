/** Something that goes wrong with requests of one operation. */
export interface Fault {
  /** partner.operation, as in the call log; "iterable" or "mixpanel" for all of them. */
  operation: string;
  /** Only requests for this page of engage. */
  page?: number;
  /** Requests to let pass before. */
  skip?: number;
  /** How many requests it meets; for ever unless given. */
  times?: number;
  /** Meets this share of them only, at random: 0 to 1. */
  chance?: number;
  /** Wait before anything else, in milliseconds. */
  delayMs?: number;
  /** Called when the request is there, which is dealt with once the promise is kept. */
  hold?: () => Promise<void>;
  /** Answer this instead. */
  reply?: { status: number; body?: unknown; headers?: Record<string, string> };
  /** Break the connection before the request is applied, after it was, or in the middle of the answer. */
  drop?: 'before' | 'after' | 'middle';
  /** Never answer; the request is not applied. */
  hang?: boolean;
  /** Apply the request, and never answer. */
  hangAfter?: boolean;
}

export interface Faults {
  add(fault: Fault): void;
  clear(): void;
  /** The fault that meets this request, if any; counted. */
  take(operation: string, page?: number): Fault | undefined;
}

export function createFaults(): Faults {
  let faults: (Fault & { met: number; seen: number })[] = [];
  return {
    add: (fault) => void faults.push({ ...fault, met: 0, seen: 0 }),
    clear() {
      faults = [];
    },
    take(operation, page) {
      for (const fault of faults) {
        if (fault.operation !== operation && fault.operation !== operation.split('.')[0]) continue;
        if (fault.page !== undefined && fault.page !== page) continue;
        if (fault.seen++ < (fault.skip ?? 0)) continue;
        if (fault.times !== undefined && fault.met >= fault.times) continue;
        if (fault.chance !== undefined && Math.random() >= fault.chance) continue;
        fault.met++;
        return fault;
      }
      return undefined;
    },
  };
}
