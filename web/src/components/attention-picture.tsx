import { useEffect, useRef, useState } from "preact/hooks";
import type { AttentionStats } from "../../../dist/types.js";
import type { PageEngine } from "../engines/page.js";
import { answering } from "../state/writing.js";

/** Size of a bar and the space after it, in pixels of the page. */
const WIDTH = 56;
const HEIGHT = 9;
/** Of each of two bars in the place of one. */
const HALF = 6;
const GAP = 2;
/** Of the first tokens and of the newest so many, selection always reads everything. */
const ALWAYS = 128;

type HeadStats = AttentionStats["heads"][number];

interface Shares {
  /** Of what selection looked at: read in full. */
  read?: number | undefined;
  /** Of the changes of keys: kept. */
  kept?: number | undefined;
}

/** What attention read in full and kept: one bar per layer (down) and key-value head (across). */
export function AttentionPicture({ engine }: { engine: PageEngine }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [{ read, kept }, setShares] = useState<Shares>({});
  const writing = answering.value !== undefined;
  useEffect(() => {
    const { stats, layers, kvHeads } = engine.attention();
    setShares(sharesOf(stats));
    if (canvas.current) draw(canvas.current, stats, layers, kvHeads);
  }, [engine, writing]);
  const nothing = read === undefined && kept === undefined;
  return (
    <figure class="attention-picture">
      {nothing ? (
        <figcaption>Say something: a picture then shows what was left out.</figcaption>
      ) : (
        <figcaption>
          <ul>
            {read !== undefined && <Legend name="read" yes="read in full" no="skimmed" share={read} />}
            {kept !== undefined && <Legend name="kept" yes="changes kept" no="left out" share={kept} />}
          </ul>
          A row is a layer of the model, a bar one of its heads, over all that was said so far.
          {read !== undefined &&
            read > 0.99 &&
            ` The first and the newest ${ALWAYS} tokens or so are always read in full.`}
        </figcaption>
      )}
      <canvas ref={canvas} role="img" aria-label={describe({ read, kept })} hidden={nothing} />
    </figure>
  );
}

function Legend({ name, yes, no, share }: { name: string; yes: string; no: string; share: number }) {
  return (
    <li>
      <i class={name} /> {percent(share)} {yes} <i class={`${name} not`} /> {percent(1 - share)} {no}
    </li>
  );
}

const percent = (share: number) => `${Math.round(share * 100)} %`;

function describe({ read, kept }: Shares): string {
  return [
    read === undefined ? "" : `${percent(read)} of the earlier text was read in full`,
    kept === undefined ? "" : `${percent(kept)} of the changes were kept`,
  ]
    .filter(Boolean)
    .join(", ");
}

function sharesOf({ kind, deltaSparsity, selected }: AttentionStats): Shares {
  return {
    read: selected?.groups ? selected.completedShare : undefined,
    kept: kind === "delta" && deltaSparsity > 0 ? 1 - deltaSparsity : undefined,
  };
}

function draw(canvas: HTMLCanvasElement, stats: AttentionStats, layers: number, kvHeads: number): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const { read, kept } = sharesOf(stats);
  const both = read !== undefined && kept !== undefined;
  const height = both ? HALF : HEIGHT;
  const row = both ? 2 * HALF + 2 * GAP : HEIGHT + GAP;
  const sharpness = devicePixelRatio || 1;
  const width = kvHeads * (WIDTH + GAP);
  canvas.width = width * sharpness;
  canvas.height = layers * row * sharpness;
  canvas.style.width = `${width}px`;
  context.scale(sharpness, sharpness);
  const { color, outlineColor } = getComputedStyle(canvas);
  const heads = new Map<string, HeadStats[]>();
  for (const head of stats.heads ?? []) {
    const name = `${head.layer} ${head.kvHead}`;
    heads.set(name, [...(heads.get(name) ?? []), head]);
  }
  for (const stages of heads.values()) {
    const { layer, kvHead } = stages[0] as HeadStats;
    const [left, top] = [kvHead * (WIDTH + GAP), layer * row];
    const bar = (share: number, y: number, colour: string) => {
      context.fillStyle = colour;
      context.globalAlpha = 0.16;
      context.fillRect(left, y, WIDTH, height);
      context.globalAlpha = 0.9;
      context.fillRect(left, y, WIDTH * share, height);
    };
    const sum = (name: "completedGroups" | "groups") =>
      stages.reduce((total, { selected }) => total + (selected?.[name] ?? 0), 0);
    if (read !== undefined) bar(sum("groups") ? sum("completedGroups") / sum("groups") : 1, top, color);
    const decode = stages.find(({ stage }) => stage === "decode");
    if (kept !== undefined) bar(1 - (decode?.deltaSparsity ?? 0), top + (both ? height : 0), outlineColor);
  }
}
