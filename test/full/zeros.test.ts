import { readFileSync } from "node:fs";
import { loadModel } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openModel } from "#src/formats/open.js";
import { compareZeros } from "../attention/zeros.js";
import { shared } from "../helpers/fixtures.js";

const path = shared("models", "SmolLM2-135M-Instruct.Q4_1.gguf");
const textPath = shared("data", "wikitext2", "wiki.test.raw.txt");
const calibrationPath = shared("data", "wikitext2", "wiki.valid.raw.txt");

if (path && textPath && calibrationPath)
  test("SmolLM2: element grain counts the zeros of the reference on every layer and KV head", async () => {
    const model = await loadModel(path, { contextLength: 2048 });
    const calibration = await model.calibrate(readFileSync(calibrationPath, "utf8").slice(0, 12_000), {
      windowTokens: 1024,
    });
    const ids = [...model.tokenizer.encode(readFileSync(textPath, "utf8").slice(0, 8_000))].slice(0, 1024);
    await model.dispose();
    for (const basis of ["raw", "score"] as const) {
      const share = await compareZeros(await openModel(path), calibration, ids, basis);
      assert.ok(share > 0.5 && share < 0.7, `${share}`);
    }
  });
else test.skip("SmolLM2: zeros of the reference");

test.run();
