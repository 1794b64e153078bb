import { test } from "uvu";
import * as assert from "uvu/assert";
import { fuzz } from "../helpers/header-fuzz.js";
import { folderCase, ggufCase } from "../helpers/header-fuzz-cases.js";

// The full test runs many more of the same; these run every time.

test("2,000 mutated GGUF headers load or fail with a named error", async () => {
  const { loaded, refused } = await fuzz(0, 2000, ggufCase);
  assert.ok(loaded > 20 && refused > 500, `${loaded} loaded, ${refused} refused`);
});

test("2,000 folders with a mutated file load or fail with a named error", async () => {
  const { loaded, refused } = await fuzz(0, 2000, folderCase);
  assert.ok(loaded > 20 && refused > 500, `${loaded} loaded, ${refused} refused`);
});

test.run();
