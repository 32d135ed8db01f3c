/** Milliseconds since the epoch; tests bring their own. */
export interface SandboxClock {
  now(): number;
}

export const realClock: SandboxClock = { now: () => Date.now() };
