/** What is attacked, and with what the attacker begins. */
export interface Target {
  /** http://host:port */
  url: string;
  /** Of a CONSUMER. */
  token: string;
  /** An address of this machine to call from; undefined: the usual one. */
  from?: string | undefined;
  /** Where Iterable's events are sent, for what only those who know it can do. */
  webhook?: { path: string; password: string };
}

/** What the attacker was told, and how often: a status, and the code of an error where there was one. */
export type Told = Record<string, number>;

export function note(told: Told, what: string, times = 1): void {
  told[what] = (told[what] ?? 0) + times;
}

/** Resolves after so long, whatever became of the work: an attack has an end. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, over]).finally(() => clearTimeout(timer));
}
