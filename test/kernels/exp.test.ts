import { test } from "uvu";
import * as assert from "uvu/assert";
import { Bench, runnableBuilds } from "../helpers/kernels.js";

for (const build of runnableBuilds) {
  test(`exp_f32 (${build}) is within 3e-7 of e^x`, () => {
    const bench = new Bench(build);
    const x = Float32Array.from({ length: 4096 }, (_, i) => -87 + (i / 4095) * 175);
    const out = bench.alloc(x.byteLength);
    bench.kernels.exp_f32(out, bench.put(x), x.length);
    bench.f32(out, x.length).forEach((value, i) => {
      const exact = Math.exp(x[i] as number);
      assert.ok(Math.abs(value - exact) <= 3e-7 * exact, `e^${x[i]} = ${exact}, got ${value}`);
    });
  });
}

test.run();
