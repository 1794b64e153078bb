import { useEffect, useRef, useState } from "preact/hooks";
import type { PageEngine } from "../engines/page.js";
import { answering } from "../state/writing.js";

/** Size of a cell and the space after it, in pixels of the page. */
const WIDTH = 56;
const HEIGHT = 9;
const GAP = 2;

/** What delta attention leaves out: one cell per layer (down) and key-value head (across). */
export function DropPicture({ engine }: { engine: PageEngine }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [share, setShare] = useState(0);
  const writing = answering.value !== undefined;
  useEffect(() => {
    const { stats, layers, kvHeads } = engine.attention();
    setShare(stats.deltaSparsity);
    const context = canvas.current?.getContext("2d");
    if (!context || !canvas.current) return;
    const sharpness = devicePixelRatio || 1;
    const width = kvHeads * (WIDTH + GAP);
    canvas.current.width = width * sharpness;
    canvas.current.height = layers * (HEIGHT + GAP) * sharpness;
    canvas.current.style.width = `${width}px`;
    context.scale(sharpness, sharpness);
    context.fillStyle = getComputedStyle(canvas.current).color;
    for (const { stage, layer, kvHead, deltaSparsity } of stats.heads ?? []) {
      if (stage !== "decode") continue;
      const place = [kvHead * (WIDTH + GAP), layer * (HEIGHT + GAP)] as const;
      context.globalAlpha = 0.12;
      context.fillRect(...place, WIDTH, HEIGHT);
      context.globalAlpha = 0.85;
      context.fillRect(...place, WIDTH * deltaSparsity, HEIGHT);
    }
  }, [engine, writing]);
  const percent = `${Math.round(share * 100)} %`;
  return (
    <figure class="drop-picture">
      <canvas ref={canvas} role="img" aria-label={`${percent} of the key changes are left out`} />
      <figcaption>
        {share > 0
          ? `${percent} of the changes are left out so far. A row is a layer of the model, a cell one of its heads; the fuller a cell, the more.`
          : "Say something: the picture then shows what is left out."}
      </figcaption>
    </figure>
  );
}
