import { test } from "uvu";
import * as assert from "uvu/assert";
import { fuzzMinutes } from "../helpers/fuzz-rounds.js";
import { type FuzzResult, fuzz } from "../helpers/header-fuzz.js";
import { folderCase, ggufCase } from "../helpers/header-fuzz-cases.js";

function report({ loaded, refused, slowest, largest }: FuzzResult): void {
  console.log(`${loaded} loaded, ${refused} refused, slowest ${slowest.toFixed(0)} ms, largest ${largest} bytes`);
  assert.ok(loaded > 0 && refused > 0);
}

test("60,000 mutated GGUF headers load or fail with a named error", async () => {
  report(await fuzz(10_000, 70_000, ggufCase, fuzzMinutes));
});

test("40,000 folders with a mutated file load or fail with a named error", async () => {
  report(await fuzz(10_000, 50_000, folderCase, fuzzMinutes));
});

test.run();
