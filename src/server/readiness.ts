/** How long an answer of the database holds: probes come by the second, and anybody may ask. */
const MEMORY_MS = 1_000;

/** A database that has not answered by then is not ready. */
const PATIENCE_MS = 3_000;

/** Asks at most once a second, however many want to know. A check that fails or takes too long counts as no. */
export function createReadiness(check: () => Promise<boolean>): () => Promise<boolean> {
  let answer: Promise<boolean> | undefined;
  let askedAt = Number.NEGATIVE_INFINITY;
  return () => {
    const now = performance.now();
    if (!answer || now - askedAt >= MEMORY_MS) {
      askedAt = now;
      answer = withinPatience(check());
    }
    return answer;
  };
}

async function withinPatience(checking: Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), PATIENCE_MS);
  });
  try {
    return await Promise.race([checking, tooLate]);
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
