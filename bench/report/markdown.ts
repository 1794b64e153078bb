/** A Markdown table; the columns named in `left` are text, the others numbers. */
export function table(rows: readonly (readonly string[])[], left: readonly string[]): string {
  const [head, ...body] = rows as [readonly string[], ...(readonly string[])[]];
  const rule = head.map((name) => (left.includes(name) ? "---" : "--:"));
  return [head, rule, ...body].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** With its sign, to two digits. */
export function signed(x: number): string {
  const text = Math.abs(x).toFixed(2);
  return text === "0.00" ? "±0.00" : `${x < 0 ? "−" : "+"}${text}`;
}

/** A share as per cent; nothing where there is none. */
export const percent = (share = Number.NaN) => (Number.isNaN(share) ? "" : `${(share * 100).toFixed(1)} %`);
