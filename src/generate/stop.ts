/** Looks for stop texts in text that arrives bit by bit. */
export interface StopMatcher {
  /**
   * Takes more text. `emit` is what surely comes before any stop text; what may begin one is held back. Once `stopped`,
   * nothing is emitted any more.
   */
  push(text: string): { emit: string; stopped: boolean };
  /** The text is over: gives out what was held back, up to a stop text in it. */
  flush(): { emit: string; stopped: boolean };
}

/**
 * A matcher that ends the text before the first place where one of `stops` begins, however the text is cut up. Empty
 * stop texts are ignored.
 */
export function createStopMatcher(stops: readonly string[]): StopMatcher {
  const wanted = stops.filter((stop) => stop !== "");
  const longest = Math.max(0, ...wanted.map((stop) => stop.length));
  let held = "";
  let stopped = false;

  const take = (length: number) => {
    const emit = held.slice(0, length);
    held = stopped ? "" : held.slice(length);
    return { emit, stopped };
  };

  /** Where the first whole stop text begins, or −1. */
  const found = () =>
    wanted.reduce((first, stop) => {
      const at = held.indexOf(stop);
      return at >= 0 && (first < 0 || at < first) ? at : first;
    }, -1);

  return {
    push(text) {
      if (stopped) return { emit: "", stopped };
      held += text;
      const end = found();
      // A longer stop text may have begun before a whole one: then the next characters decide.
      let open = Math.max(0, held.length - longest + 1);
      while (open < held.length && !wanted.some((stop) => stop.startsWith(held.slice(open)))) open++;
      if (end >= 0 && end <= open) {
        stopped = true;
        return take(end);
      }
      return take(open);
    },
    flush() {
      if (stopped) return { emit: "", stopped };
      const end = found();
      stopped = end >= 0;
      const rest = take(stopped ? end : held.length);
      held = "";
      return rest;
    },
  };
}
