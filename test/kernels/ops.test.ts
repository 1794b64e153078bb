import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Bench, runnableBuilds } from "../helpers/kernels.js";
import { relu2Gate, rmsNorm, siluGate } from "../twins/ops.js";

const float = fc.float({ noNaN: true, min: -1000, max: 1000 });
const vector = fc.integer({ min: 1, max: 60 }).chain((quads) => fc.tuple(floats(quads * 4), floats(quads * 4)));
function floats(length: number) {
  return fc.array(float, { minLength: length, maxLength: length }).map((values) => Float32Array.from(values));
}
const bits = (values: Float32Array) => [...new Uint32Array(new Float32Array(values).buffer)];

for (const build of runnableBuilds) {
  const bench = new Bench(build);

  test(`rms_norm (${build}) has the bits of its twin`, () => {
    fc.assert(
      fc.property(vector, ([x, weight]) => {
        bench.reset();
        const out = bench.alloc(x.byteLength);
        bench.kernels.rms_norm(out, bench.put(x), bench.put(weight), x.length, 1e-5);
        assert.equal(bits(bench.f32(out, x.length)), bits(rmsNorm(x, weight, 1e-5)));
      }),
    );
  });

  test(`relu2_gate (${build}) has the bits of its twin, also in place`, () => {
    fc.assert(
      fc.property(vector, ([gate, up]) => {
        bench.reset();
        const address = bench.put(gate);
        bench.kernels.relu2_gate(address, address, bench.put(up), gate.length);
        assert.equal(bits(bench.f32(address, gate.length)), bits(relu2Gate(gate, up)));
      }),
    );
  });

  test(`silu_gate (${build}) is within 1e-6 of the exact value`, () => {
    fc.assert(
      fc.property(vector, ([gate, up]) => {
        bench.reset();
        const out = bench.alloc(gate.byteLength);
        bench.kernels.silu_gate(out, bench.put(gate), bench.put(up), gate.length);
        const exact = siluGate(gate, up);
        bench.f32(out, gate.length).forEach((value, i) => {
          assert.ok(Math.abs(value - exact[i]!) <= 1e-6 * Math.abs(exact[i]!) + 1e-30, `${value} for ${exact[i]}`);
        });
      }),
    );
  });
}

test("the kernels carry no data: a second instance would write it over live memory", async () => {
  const { kernelBytes } = await import("#src/kernels/instantiate.js");
  const DATA_SECTION = 11;
  for (const build of ["simd", "relaxed", "simd-shared", "relaxed-shared"] as const) {
    const bytes = kernelBytes(build);
    for (let at = 8; at < bytes.length; ) {
      const id = bytes[at++];
      let size = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = bytes[at++] as number;
        size |= (byte & 127) << shift;
        if (byte < 128) break;
      }
      assert.is.not(id, DATA_SECTION, `${build} has a data section`);
      at += size;
    }
  }
});

test.run();
