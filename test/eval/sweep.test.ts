import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseAxis, sweepPoints } from "#src/cli/eval-sweep.js";

test("a sweep is every combination of its axes", () => {
  const sweep = parseAxis("window-scale=0.05, 0.1", parseAxis("grain=element,chunk"));
  assert.equal(sweepPoints(sweep), [
    { name: "grain=element window-scale=0.05", flags: { attention: "delta", grain: "element", windowScale: 0.05 } },
    { name: "grain=element window-scale=0.1", flags: { attention: "delta", grain: "element", windowScale: 0.1 } },
    { name: "grain=chunk window-scale=0.05", flags: { attention: "delta", grain: "chunk", windowScale: 0.05 } },
    { name: "grain=chunk window-scale=0.1", flags: { attention: "delta", grain: "chunk", windowScale: 0.1 } },
  ]);
});

test("axes and values that do not exist are refused", () => {
  for (const text of ["colour=red", "grain=atom", "grain", "sparsity=most", "window=-1", "toString=1"])
    assert.throws(() => parseAxis(text), /none of|number/, text);
});

test.run();
