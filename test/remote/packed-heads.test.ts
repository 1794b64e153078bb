import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { packHeads, unpackHeads } from "#src/remote/packed-heads.js";

const share = fc.double({ min: 0, max: 1, noNaN: true, noDefaultInfinity: true }).map((x) => x + 0);
const count = fc.integer({ min: 0, max: 2 ** 40 });
const head = fc.record(
  {
    layer: fc.nat(200),
    kvHead: fc.nat(64),
    stage: fc.constantFrom("prefill" as const, "decode" as const),
    deltaSparsity: share,
    skippedValues: share,
    selected: fc.record({ completedGroups: count, groups: count }, { noNullPrototype: true }),
  },
  { requiredKeys: ["layer", "kvHead", "stage", "deltaSparsity", "skippedValues"], noNullPrototype: true },
);

test("statistics by head come out as they went in", () => {
  fc.assert(
    fc.property(fc.array(head), (heads) => {
      assert.equal(unpackHeads(structuredClone(packHeads(heads))), heads);
    }),
  );
});

test.run();
