/** What loadNext gives until it gives undefined; the next one is on its way while one is used. Throws what it throws. */
export async function* readAhead<T>(loadNext: () => Promise<T | undefined>): AsyncGenerator<T> {
  let loading = loadNext();
  for (let loaded = await loading; loaded !== undefined; loaded = await loading) {
    loading = loadNext();
    // Whoever gives up meanwhile does not wait for it: then its failure concerns nobody.
    loading.catch(() => undefined);
    yield loaded;
  }
}
