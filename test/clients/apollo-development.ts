// Apollo Client warns of caches that lose data in its development mode only, and reads this when it is loaded.
Object.assign(globalThis, { __DEV__: true });
