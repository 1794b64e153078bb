/** What compaction needs of an element of a drawing. */
interface Node {
  tagName: string;
  innerHTML: string;
  children: Iterable<Node> & { length: number };
  getAttribute(name: string): string | null;
  removeAttribute(name: string): void;
}

/** Removes what a picture does not need from a drawing: labels of its groups, an element for every line and dot. */
export function compact(drawing: Node): string {
  visit(drawing);
  // A tenth of a pixel is less than anybody sees.
  return drawing.innerHTML
    .replace(/-?\d+\.\d+/g, short)
    .replace(/ (?:x1|y1|x2|y2|transform)="(?:0|translate\(0,0\))"/g, "")
    .replaceAll(" />", "/>");
}

const short = (number: string | number) => String(Number(Number(number).toFixed(1)) || 0);

function visit(node: Node): void {
  for (const name of ["aria-label", "aria-hidden", "aria-description"]) node.removeAttribute(name);
  const children = [...node.children];
  for (const child of children) visit(child);
  if (node.tagName.toLowerCase() !== "g" || children.length < 2) return;
  const strokes = children.map(strokeOf);
  if (strokes.every((stroke) => stroke !== undefined)) node.innerHTML = `<path d="${strokes.join("")}"/>`;
}

/** A line, or a shape with its place, as a piece of a path that says where it begins; undefined for all else. */
function strokeOf(node: Node): string | undefined {
  const names = ["x1", "y1", "x2", "y2", "d", "transform"];
  const [x1, y1, x2, y2, d, transform] = names.map((name) => node.getAttribute(name));
  const more = (node as unknown as { attributes: Iterable<{ name: string }> }).attributes;
  if ([...more].some(({ name }) => !names.includes(name))) return undefined;
  if (node.tagName.toLowerCase() === "line") {
    const [a, b, c, e] = [x1, y1, x2, y2].map((text) => short(text ?? 0));
    return a === c ? `M${a},${b}V${e}` : b === e ? `M${a},${b}H${c}` : `M${a},${b}L${c},${e}`;
  }
  const [, x, y] = /^translate\(([^,]+),([^)]+)\)$/.exec(transform ?? "") ?? [];
  if (d == null || x === undefined || y === undefined) return undefined;
  return moved(d, Number(x), Number(y));
}

/** A shape around 0, 0 at another place, its strokes from point to point: so they are the same text everywhere. */
function moved(d: string, x: number, y: number): string | undefined {
  let [atX, atY] = [0, 0];
  let [startX, startY] = [0, 0];
  let out = "";
  for (const [, letter = "", rest = ""] of d.matchAll(/([A-Za-z])([^A-Za-z]*)/g)) {
    const numbers = rest.match(/-?[\d.]+/g)?.map(Number) ?? [];
    const name = letter.toUpperCase();
    if (name === "Z") {
      out += "z";
      [atX, atY] = [startX, startY];
      continue;
    }
    // One command, one stroke: what writes several at once is left as it is.
    if (numbers.length !== { M: 2, L: 2, H: 1, V: 1, A: 7 }[name]) return undefined;
    const relative = letter !== name;
    const [fromX, fromY] = relative ? [atX, atY] : [0, 0];
    const last = numbers.at(-1) as number;
    const toX = name === "V" ? atX : fromX + (name === "H" ? last : (numbers.at(-2) as number));
    const toY = name === "H" ? atY : fromY + last;
    const step = `${short(toX - atX)},${short(toY - atY)}`;
    if (name === "M") {
      out += `M${short(x + toX)},${short(y + toY)}`;
      [startX, startY] = [toX, toY];
    } else if (name === "A") out += `a${numbers.slice(0, 5).map(short)},${step}`;
    else out += `l${step}`;
    [atX, atY] = [toX, toY];
  }
  return out;
}
