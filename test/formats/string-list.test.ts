import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { StringList } from "#src/formats/string-list.js";

test("a list of strings in any parts is the array of them", () => {
  const parts = fc.array(fc.array(fc.string({ unit: "grapheme", maxLength: 6 }), { maxLength: 5 }), { maxLength: 5 });
  fc.assert(
    fc.property(parts, fc.nat(12), fc.nat(30), (batches, start, end) => {
      const list = new StringList();
      for (const batch of batches)
        list.append(
          batch.join(""),
          batch.map(({ length }) => length),
        );
      const strings = batches.flat();
      assert.is(list.length, strings.length);
      assert.equal([...list], strings);
      assert.equal(list.slice(start, end), strings.slice(start, end));
    }),
  );
});

test.run();
