import { useEffect, useRef, useState } from "preact/hooks";
import type { PageEngine } from "../engines/page.js";
import { answering } from "../state/answering.js";

const CELL = 12;

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
    canvas.current.width = kvHeads * CELL;
    canvas.current.height = layers * CELL;
    const colour = getComputedStyle(canvas.current).color;
    for (const { stage, layer, kvHead, deltaSparsity } of stats.heads ?? []) {
      if (stage !== "decode") continue;
      context.globalAlpha = 0.08;
      context.fillStyle = colour;
      context.fillRect(kvHead * CELL, layer * CELL, CELL - 1, CELL - 1);
      context.globalAlpha = 0.85;
      context.fillRect(kvHead * CELL, layer * CELL, (CELL - 1) * deltaSparsity, CELL - 1);
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
