// Draws the key cache of one layer and KV head of the embedded model as SVG: what delta attention stores of each key.
//   node build/bench/delta-picture.js OUT.svg [layer] [kvHead] [sparsity]
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { createCache } from "#src/attention/create-cache.js";
import { readRecording } from "#src/calibration/record.js";
import { embeddedCalibration, openEmbedded } from "#src/embedded.js";
import { decodeBasis } from "#src/kv/calibration.js";
import { Engine } from "#src/model/engine.js";
import { nextSlice } from "#src/model/slice.js";
import { createTokenizer } from "#src/tokenizer/tokenizer.js";
import { png } from "./plots/png.js";

const [out = "docs/delta-cache.svg", layer = "4", kvHead = "0", sparsity = "0.6"] = process.argv.slice(2);
const TOKENS = 128;
const SINK = 4;
const WINDOW = 24;

const file = await openEmbedded(undefined);
const tokenizer = await createTokenizer(file.tokenizer);
const text = readFileSync(new URL("../../test/fixtures/story/picture.txt", import.meta.url), "utf8");
const ids = [...tokenizer.encode(text, { addBos: true })].slice(0, TOKENS);
const engine = await Engine.load(file, { threads: 1, contextLength: 1024, prefillChunk: 64 });
const { memory, config } = engine;
const cache = createCache(memory, config, { kind: "f32", contextLength: TOKENS, attention: {}, record: true });
for (let at = 0; at < ids.length; at += 64) {
  const piece = ids.slice(at, at + 64);
  engine.forward(piece, [nextSlice(cache, piece.length, "none")]);
}

const index = Number(layer) * config.kvHeads + Number(kvHead);
const d = config.headDim;
const { keys } = readRecording(cache, memory)[index] as { keys: Float32Array };
const head = (await embeddedCalibration()).heads[index];
if (!head?.basis) throw new Error("the calibration has no such head");
const { basis } = decodeBasis(head.basis, d);
const theta = head.thresholds["element/score"]?.[Math.round(Number(sparsity) * 20) - 1] ?? 0;

// The walk of section 1: a difference is stored where it exceeds θ, and only there the reference moves.
const reference = new Float64Array(d);
const scale = 6;
const [warm, cold] = [
  ["#f5cdbd", "#eeac92", "#e78a66", "#e0693b", "#cb5322", "#a4431b"],
  ["#bdd7f5", "#92bcee", "#66a1e7", "#3b86e0", "#2270cb", "#1b5ba4"],
];
const colours = ["#ffffff", ...warm, ...cold];
const colourOf = (e: number) => {
  const strength = Math.min(1, Math.abs(e) / (6 * theta));
  return 1 + (e > 0 ? 0 : warm.length) + Math.min(5, Math.floor(strength * 6));
};
// One pixel per element: a fraction of the bytes of strokes.
const pixels = new Uint8Array(ids.length * d);
let zeros = 0;
for (let t = 0; t < ids.length; t++)
  for (let i = 0; i < d; i++) {
    let value = 0;
    for (let j = 0; j < d; j++) value += (basis[i * d + j] as number) * (keys[t * d + j] as number);
    const e = value - (reference[i] as number);
    const whole = t < SINK || t >= ids.length - WINDOW;
    if (t === 0 || Math.abs(e) > theta) reference[i] = value;
    else if (!whole) zeros++;
    if (!whole && t > 0 && Math.abs(e) <= theta) continue;
    pixels[i * ids.length + t] = colourOf(whole ? value : e);
  }
const far = ids.length - SINK - WINDOW;
const share = ((100 * zeros) / (far * d)).toFixed(0);
const [width, height] = [ids.length * scale, d * scale];
const band = (from: number, to: number, label: string) =>
  `<rect x="${from * scale}" y="0" width="${(to - from) * scale}" height="${height}" fill="none" stroke="#333" stroke-width="2"/>` +
  `<text x="${((from + to) / 2) * scale}" y="${height + 20}" text-anchor="middle">${label}</text>`;
const picture = png(pixels, ids.length, colours);
const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-34 -32 ${width + 50} ${height + 64}" font-family="system-ui, sans-serif" font-size="14">
<title>Key cache of layer ${layer}, KV head ${kvHead}: stored differences coloured, zeros white (${share} % of the far keys)</title>
<rect x="-34" y="-32" width="${width + 50}" height="${height + 64}" fill="#fff"/>
<text x="0" y="-12">Layer ${layer}, KV head ${kvHead} of the embedded model, score basis, θ for ${Math.round(Number(sparsity) * 100)} %: ${share} % of the far differences are not stored</text>
<image width="${width}" height="${height}" image-rendering="pixelated" href="data:image/png;base64,${picture.toString("base64")}"/>
${band(0, SINK, "sink")}
${band(SINK, ids.length - WINDOW, `far: differences (white: below θ, not stored)`)}
${band(ids.length - WINDOW, ids.length, "window: whole keys")}
<text x="-8" y="${height / 2}" text-anchor="middle" transform="rotate(-90 -12 ${height / 2})">${d} elements of a key</text>
</svg>
`;
mkdirSync(dirname(out), { recursive: true });
writeFileSync(out, svg);
console.log(`${out}: ${ids.length} tokens, ${share} % zeros among the far keys`);
cache.dispose();
await engine.dispose();
process.exit(0);
