import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { embeddedCalibration, openEmbedded } from "#src/embedded.js";
import { createTokenizer } from "#src/tokenizer/tokenizer.js";
import { fixture } from "../helpers/fixtures.js";
import { compareZeros } from "./zeros.js";

for (const basis of ["raw", "score"] as const)
  test(`embedded model: element grain counts the zeros of the reference on every layer and KV head (${basis})`, async () => {
    const file = await openEmbedded(undefined);
    const tokenizer = await createTokenizer(file.tokenizer);
    const text = readFileSync(fixture("story", "picture.txt"), "utf8");
    const ids = [...tokenizer.encode(text, { addBos: true })].slice(0, 300);
    const share = await compareZeros(file, await embeddedCalibration(), ids, basis);
    assert.ok(share > 0.5 && share < 0.7, `${share}`);
  });

test.run();
