import { test } from "uvu";
import { cacheKinds, tryMixes } from "../helpers/session-mix.js";

for (const [name, options] of Object.entries(cacheKinds))
  test(`${name}: whatever others do meanwhile, the logits, keys and values of a session are those it has alone`, () =>
    tryMixes(options, 1, 3));

test.run();
