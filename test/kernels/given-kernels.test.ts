import { KernelError, loadModel } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { kernelBytes } from "#src/kernels/instantiate.js";

test("kernels can be given as bytes or as modules, to threads too", async () => {
  const kernels = { simd: kernelBytes("simd"), "simd-shared": new WebAssembly.Module(kernelBytes("simd-shared")) };
  for (const threads of [1, 2]) {
    await using model = await loadModel("embedded", { kernels, kernel: "simd", threads, contextLength: 64 });
    assert.is((await model.createSession().prefill([1, 2, 3])).length, model.config.vocab);
  }
});

test("bytes that are no kernels are refused by name", async () => {
  const error = await loadModel("embedded", { kernels: { simd: new Uint8Array(8) } }).catch((thrown) => thrown);
  assert.instance(error, KernelError);
  assert.is(error.place.key, "kernels.simd");
});

test.run();
