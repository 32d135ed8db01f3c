/** One request that a partner received. */
export interface Call {
  /** When it was answered, or would have been. */
  at: number;
  /** When it had come in. */
  receivedAt: number;
  /** partner.operation, for example iterable.subscribe or mixpanel.engage. */
  operation: string;
  method: string;
  path: string;
  /** As answered; 0 when the connection was broken instead. */
  status: number;
  listId?: number;
  subscribers?: { email?: string; userId?: string }[];
  page?: number;
  cohortId?: string;
  /** How many came in an import. */
  events?: number;
}

/** What was received, in order, and what no careful client would have sent. */
export interface CallLog {
  readonly all: readonly Call[];
  readonly complaints: readonly string[];
  of(operation: string): Call[];
  add(call: Call): void;
  complain(text: string): void;
  /** Resolves when the log holds what is waited for. */
  until(isThere: (calls: readonly Call[]) => boolean): Promise<void>;
  /** Forgets the calls. Complaints stay. */
  clear(): void;
}

/** Older calls are forgotten, so that a sandbox can run for days. */
const MAX_CALLS = 100_000;
const MAX_COMPLAINTS = 1_000;

export function createCallLog(): CallLog {
  let calls: Call[] = [];
  const complaints: string[] = [];
  let waiting: { isThere: (calls: readonly Call[]) => boolean; resolve: () => void }[] = [];
  return {
    get all() {
      return calls;
    },
    get complaints() {
      return complaints;
    },
    of: (operation) => calls.filter((call) => call.operation === operation),
    add(call) {
      calls.push(call);
      if (calls.length > MAX_CALLS) calls = calls.slice(-MAX_CALLS / 2);
      waiting = waiting.filter(({ isThere, resolve }) => {
        if (!isThere(calls)) return true;
        resolve();
        return false;
      });
    },
    complain(text) {
      if (complaints.length < MAX_COMPLAINTS) complaints.push(text);
    },
    until: (isThere) =>
      new Promise((resolve) => {
        if (isThere(calls)) resolve();
        else waiting.push({ isThere, resolve });
      }),
    clear() {
      calls = [];
    },
  };
}
