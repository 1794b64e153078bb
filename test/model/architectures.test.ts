import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ModelConfig } from "#src/config.js";
import { UnsupportedError } from "#src/errors.js";
import { architectures, ggufArchitecture, huggingFaceArchitecture } from "#src/model/architectures/index.js";
import { naturalLogarithm } from "#src/model/architectures/logarithm.js";
import { layerRoles, matrixRoles } from "#src/model/architectures/roles.js";

const config = (architecture: string): ModelConfig => ({
  architecture,
  name: "test",
  layers: 2,
  hidden: 64,
  ffn: 96,
  heads: 4,
  kvHeads: 2,
  headDim: 32,
  vocab: 320,
  contextLength: 128,
  rmsNormEps: 1e-6,
  ropeTheta: 10_000,
  activation: "silu",
});

for (const architecture of architectures) {
  test(`${architecture.name}: every name leads to it, every layer has its matrices, no role or name twice`, () => {
    for (const name of architecture.gguf) assert.is(ggufArchitecture(name, {}), architecture);
    for (const name of architecture.huggingFace.classes)
      assert.is(huggingFaceArchitecture(name, undefined, {}), architecture);
    for (const type of architecture.huggingFace.modelTypes)
      assert.is(huggingFaceArchitecture(undefined, type, {}), architecture);
    const layer = architecture.layer(config(architecture.name));
    const roles = layer.map(({ role }) => role);
    assert.is(new Set(roles).size, roles.length);
    for (const role of roles) assert.ok(layerRoles.includes(role), role);
    for (const role of matrixRoles) assert.is(layer.find((spec) => spec.role === role)?.shape.length, 2, role);
    for (const { gguf, huggingFace } of layer) assert.ok(gguf && huggingFace);
    // A larger tensor is cut into parts that do not overlap and leave nothing out.
    const whole = layer.filter(({ rows }) => !rows).map(({ gguf }) => gguf);
    assert.is(new Set(whole).size, whole.length);
    for (const of of new Set(layer.flatMap(({ rows }) => rows?.of ?? []))) {
      const parts = layer.filter(({ rows }) => rows?.of === of).sort((a, b) => a.rows!.first - b.rows!.first);
      let next = 0;
      for (const { rows, shape } of parts) {
        assert.is(rows?.first, next);
        next += shape[0] as number;
      }
      assert.is(next, of);
    }
  });
}

test("an architecture that is not supported is named, with what is and the nearest thing to do", () => {
  const message = (run: () => unknown) => {
    try {
      run();
    } catch (error) {
      assert.instance(error, UnsupportedError);
      return (error as Error).message;
    }
    throw new Error("expected an error");
  };
  const gguf = (name: string) => message(() => ggufArchitecture(name, { file: "a.gguf", key: "general.architecture" }));
  assert.match(gguf("qwen3moe"), /"qwen3moe" are not supported .*a\.gguf.*dense Qwen 3.*Supported are: llama, .*phi3/);
  assert.match(gguf("gemma2"), /Gemma 3 \(text\)/);
  assert.match(gguf("mamba"), /"mamba" are not supported .*Supported are: llama/);
  const folder = (name: string) => message(() => huggingFaceArchitecture(name, "x", { file: "config.json" }));
  assert.match(folder("GraniteMoeForCausalLM"), /"GraniteMoeForCausalLM".*dense models.*LlamaForCausalLM/);
  assert.match(
    message(() => huggingFaceArchitecture(undefined, undefined, {})),
    /\(none named\)/,
  );
});

test("the logarithm that reaches the RoPE table is one of plain arithmetic", () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-3, max: 1e9, noNaN: true }), (x) => {
      assert.ok(Math.abs(naturalLogarithm(x) - Math.log(x)) <= 1e-14 * Math.max(1, Math.abs(Math.log(x))));
    }),
  );
});

test.run();
