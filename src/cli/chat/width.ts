import stringWidth from "string-width";

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** What a reader takes for characters: base characters with their accents, emoji sequences, newlines. */
export function graphemes(text: string): string[] {
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

/** Columns of a terminal one grapheme takes: 0, 1 or 2; a tab counts as one, as it is shown as a space. */
export function width(grapheme: string): number {
  return grapheme === "\t" ? 1 : stringWidth(grapheme);
}

/** Columns a text without newlines takes. */
export function textWidth(text: string): number {
  let columns = 0;
  for (const grapheme of graphemes(text)) columns += width(grapheme);
  return columns;
}
