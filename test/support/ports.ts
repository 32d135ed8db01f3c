/** Below the ports that the system gives out by itself, so that no other test has one by chance; each worker has its own. */
let next = 10_000 + Number(process.env.VITEST_POOL_ID ?? 0) * 4_000 + Math.floor(Math.random() * 3_000);

/** Takes so many ports in a row, and returns the first. */
export function takePorts(count: number): number {
  const first = next;
  next += count;
  return first;
}
