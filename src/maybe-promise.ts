/** A value that may be there already. A page has hundreds of fields, and a promise costs more than most values. */
export type MaybePromise<T> = T | Promise<T>;

/** What `make` makes of both: at once when both are there. */
export function withBoth<A, B, Result>(
  first: MaybePromise<A>,
  second: MaybePromise<B>,
  make: (first: A, second: B) => Result,
): MaybePromise<Result> {
  return first instanceof Promise || second instanceof Promise
    ? Promise.all([first, second]).then(([one, other]) => make(one, other))
    : make(first, second);
}
