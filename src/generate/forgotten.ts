const forgotten =
  typeof FinalizationRegistry === "undefined"
    ? undefined
    : new FinalizationRegistry<AsyncGenerator<unknown>>((inner) => void inner.return(undefined).catch(() => {}));

/**
 * The same generator, ended when nobody can go on with it any more: a caller that took a few items and let go gives the
 * memory of its session back, though it neither broke off nor read to the end.
 */
export function endWhenForgotten<Item>(
  inner: AsyncGenerator<Item, void, undefined>,
): AsyncGenerator<Item, void, undefined> {
  const outer: AsyncGenerator<Item, void, undefined> = {
    next: () => inner.next(),
    return: (value) => inner.return(value),
    throw: (error) => inner.throw(error),
    [Symbol.asyncIterator]: () => outer,
    [Symbol.asyncDispose]: async () => void (await inner.return()),
  };
  forgotten?.register(outer, inner);
  return outer;
}
