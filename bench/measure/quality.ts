import type { Calibration } from "#src/index.js";
import type { PlainTable } from "../tables/measured.js";
import { chosen, type Files, idsOf, load, note, settings, where } from "./smollm2.js";

const names = [
  "`fast`",
  "`fast`, `select: 0.02`",
  "`fast`, `select: 0.01`",
  "`small`",
  "chunk grain, 30 %, `select: 0.01`",
];
/** Windows of so many tokens. */
const texts = [
  [3, 2048],
  [1, 4096],
] as const;

/** Perplexity of SmolLM2 with selection, beside full attention on the same grid. */
export async function quality(files: Files, calibration: Calibration): Promise<PlainTable> {
  const baseline = "full attention, score basis";
  settings[baseline] = { basis: "score" };
  const full: number[] = [];
  const rows = [];
  for (const [name, attention] of chosen([baseline, ...names], calibration)) {
    const cells: (number | null)[] = [];
    for (const [i, [windows, size]] of texts.entries()) {
      note(`${name}: ${windows} × ${size} tokens`);
      await using model = await load(files, { contextLength: size, attention });
      const ids = idsOf(model, files.text, windows * size);
      let [sum, count] = [0, 0];
      for (let at = 0; at < ids.length; at += size)
        for (const logprob of await model.scoreWindow(ids.slice(at, at + size)))
          [sum, count] = [sum - logprob, count + 1];
      const perplexity = Math.exp(sum / count);
      full[i] ??= perplexity;
      cells.push(
        perplexity,
        name === baseline ? null : perplexity / (full[i] as number) - 1,
        model.stats().attention.selected?.completedShare ?? null,
      );
    }
    rows.push([name, ...cells]);
  }
  return {
    kind: "table",
    measured: `${where()}; SmolLM2-135M-Instruct Q4_1, WikiText-2 test, calibrated on 8,192 tokens of WikiText-2 valid`,
    commands: ["npm run measure -- selection-perplexity"],
    columns: [
      { title: "attention" },
      { title: "perplexity, 3 × 2,048 tokens", format: "2" },
      { title: "change", format: "%2" },
      { title: "completed", format: "%0" },
      { title: "1 × 4,096 tokens", format: "2" },
      { title: "change there", format: "%2" },
      { title: "completed there", format: "%0" },
    ],
    rows,
  };
}
