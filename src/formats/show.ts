/** A value as it may stand in a message: short, whatever it is. */
export function show(value: unknown): string {
  if (typeof value === "number") return String(value);
  let text: string;
  try {
    text = String(JSON.stringify(value));
  } catch {
    // Nested too deep to be written out.
    text = typeof value;
  }
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
