/** How long an answer of the database holds: probes come by the second, and anybody may ask. */
const MEMORY_MS = 1_000;

/** Asks at most once a second, however many want to know. A check that fails counts as no. */
export function createReadiness(check: () => Promise<boolean>): () => Promise<boolean> {
  let answer: Promise<boolean> | undefined;
  let askedAt = Number.NEGATIVE_INFINITY;
  return () => {
    const now = performance.now();
    if (!answer || now - askedAt >= MEMORY_MS) {
      askedAt = now;
      answer = check().catch(() => false);
    }
    return answer;
  };
}
