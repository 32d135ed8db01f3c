/**
 * Looks things up by key, one look-up of a key at a time: who asks while one is under way shares the next with all others who
 * do, so that a burst costs two. Nobody is told what was so before they asked.
 */
export function createSharedLookup<T>(load: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const current = new Map<string, Promise<T>>();
  const next = new Map<string, Promise<T>>();

  function start(key: string): Promise<T> {
    const loading = load(key).finally(() => {
      if (current.get(key) === loading) current.delete(key);
    });
    current.set(key, loading);
    return loading;
  }

  return (key) => {
    const underWay = current.get(key);
    if (!underWay) return start(key);
    let following = next.get(key);
    if (!following) {
      const startNext = () => {
        next.delete(key);
        return start(key);
      };
      following = underWay.then(startNext, startNext);
      next.set(key, following);
    }
    return following;
  };
}
