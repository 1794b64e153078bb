/** Changes a text at a few random places: characters lost, doubled, exchanged, or parts of it repeated. */
export function damaged(text: string, random: () => number): string {
  let out = text;
  const times = 1 + Math.floor(random() * 4);
  for (let i = 0; i < times; i++) {
    const at = Math.floor(random() * (out.length + 1));
    const length = 1 + Math.floor(random() * 6);
    const kind = Math.floor(random() * 5);
    if (kind === 0) out = out.slice(0, at) + out.slice(at + length);
    else if (kind === 1) out = out.slice(0, at) + String.fromCharCode(Math.floor(random() * 256)) + out.slice(at);
    else if (kind === 2)
      out = out.slice(0, at) + out.slice(Math.floor(random() * out.length)).slice(0, 40) + out.slice(at);
    else if (kind === 3)
      out = out.slice(0, at) + "()[]{}|*+?\\^$\"':=.#<>-9"[Math.floor(random() * 23)]! + out.slice(at);
    else out = out.slice(0, at) + out.slice(at).split("").reverse().join("").slice(0, length) + out.slice(at + length);
  }
  return out;
}

/** Changes a value of JSON at random places. */
export function damagedValue(value: unknown, random: () => number): unknown {
  const odd = [null, true, -1, 1e308, "", "x", [], {}, "#/$defs/tree", { $ref: "#" }, { not: {} }, 2 ** 53, 0.1, [{}]];
  const pick = () => structuredClone(odd[Math.floor(random() * odd.length)]);
  if (random() < 0.06) return pick();
  if (Array.isArray(value)) {
    const items = value.map((item) => damagedValue(item, random));
    if (random() < 0.1) items.push(pick());
    return items;
  }
  if (typeof value !== "object" || value === null) return value;
  const keys = Object.keys(value);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      random() < 0.04 ? keys[Math.floor(random() * keys.length)]! : key,
      damagedValue(item, random),
    ]),
  );
}
