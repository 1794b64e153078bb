import type { PlainTable } from "../tables/measured.js";
import { calibrated, completedSince, type Files, idsOf, load, note, where } from "./smollm2.js";

/** Tokens of the windows of a calibration, and how many there are. */
const calibrations = [
  [2048, 4],
  [8192, 1],
] as const;
const depths = [2048, 4096, 7040];
const STEPS = 16;

/**
 * How much selection completes after so many tokens, by the length of the windows it was calibrated on.
 * @param file the calibration on one long window
 */
export async function positions(files: Files, file?: string): Promise<PlainTable> {
  const rows = [];
  for (const [windowTokens, windows] of calibrations) {
    const long = windows === 1;
    const calibration = await calibrated(files, { windowTokens, windows, file: long ? file : undefined });
    note(`reading ${depths.at(-1)} tokens`);
    await using model = await load(files, { contextLength: 8192, attention: { preset: "fast", calibration } });
    const ids = idsOf(model, files.text, 8192);
    const session = model.createSession();
    const shares = [];
    let at = 0;
    for (const depth of depths) {
      await session.prefill(ids.slice(at, depth));
      const before = model.stats().attention.selected;
      for (at = depth; at < depth + STEPS; at++) await session.step(ids[at] as number);
      shares.push(completedSince(model, before) ?? 1);
    }
    rows.push([`${windowTokens.toLocaleString("en")} tokens`, ...shares]);
  }
  return {
    kind: "table",
    measured: `${where()}; SmolLM2-135M-Instruct Q4_1 with \`fast\`, decode behind WikiText-2 test, calibrated on 8,192 tokens of WikiText-2 valid in windows`,
    commands: ["npm run measure -- selection-positions"],
    columns: [
      { title: "calibrated on windows of" },
      ...depths.map((depth) => ({ title: `completed after ${depth.toLocaleString("en")}`, format: "%0" })),
    ],
    rows,
  };
}
