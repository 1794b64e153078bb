import { readFileSync } from "node:fs";
import { loadModel } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { filesFolder } from "#src/formats/folder.js";
import { shared } from "../helpers/fixtures.js";
import { difference, readI32 } from "../helpers/golden.js";
import { type PlainTensor, readSafetensors, writeSafetensors } from "../helpers/safetensors-writer.js";

type Json = Record<string, unknown>;
type Tensors = Record<string, PlainTensor>;
interface Files {
  config: Json;
  tensors: Tensors;
}

const root = shared("golden", "arch");

/** A folder as read, and the logits of a few tokens after `change` was made to its files. */
async function logits(name: string, change: (files: Files) => Json | undefined = () => undefined) {
  const folder = `${root}/${name}/hf-bf16`;
  const config = JSON.parse(readFileSync(`${folder}/config.json`, "utf8")) as Json;
  const tensors = readSafetensors(readFileSync(`${folder}/model.safetensors`));
  const files: Files = { config, tensors };
  const more = change(files) as Record<string, Uint8Array> | undefined;
  const text = new TextEncoder().encode(JSON.stringify(files.config));
  const source = filesFolder(
    Object.entries({ "config.json": text, ...(more ?? { "model.safetensors": writeSafetensors(files.tensors) }) }),
  );
  await using model = await loadModel(source, { kvCache: "f32", head: "f16", threads: 1, engineThread: "caller" });
  const session = model.createSession();
  const prompt = readI32(`${root}/${name}`, "golden", "prompt_ids.i32").slice(0, 40);
  return await session.prefill(prompt, { allLogits: true });
}

const without = (config: Json, ...keys: string[]): Json =>
  Object.fromEntries(Object.entries(config).filter(([key]) => !keys.includes(key)));

/** From the spelling of transformers 4 to that of 5, or back. */
const respelt: Record<string, (config: Json) => Json> = {
  qwen3: (c) => ({
    ...without(c, "rope_theta", "rope_scaling"),
    rope_parameters: { rope_type: "default", rope_theta: c.rope_theta },
  }),
  smollm3: (c) => ({
    ...without(c, "rope_theta", "rope_scaling", "no_rope_layers", "layer_types"),
    rope_parameters: { rope_type: "default", rope_theta: c.rope_theta },
  }),
  qwen2: (c) => ({ ...without(c, "rope_parameters"), rope_theta: 1_000_000, rope_scaling: null, layer_types: null }),
  granite: (c) => without(c, "rope_parameters"),
  phi3: (c) => ({
    ...without(c, "rope_theta", "rope_scaling", "partial_rotary_factor", "original_max_position_embeddings"),
    rope_parameters: {
      ...(c.rope_scaling as Json),
      type: undefined,
      rope_type: "longrope",
      rope_theta: c.rope_theta,
      partial_rotary_factor: c.partial_rotary_factor,
      original_max_position_embeddings: c.original_max_position_embeddings,
    },
  }),
  gemma3: (c) => ({
    ...without(c, "rope_theta", "rope_scaling", "rope_local_base_freq", "sliding_window_pattern"),
    layer_types: Array.from({ length: 7 }, (_, i) => (i === 5 ? "full_attention" : "sliding_attention")),
    rope_parameters: {
      full_attention: { rope_type: "default", rope_theta: c.rope_theta },
      sliding_attention: { rope_type: "default", rope_theta: c.rope_local_base_freq },
    },
  }),
};

if (!root) test.skip("configurations and tensor names in other spellings");
for (const [name, respell] of root ? Object.entries(respelt) : []) {
  test(`${name}: both spellings of config.json, shards, a head of its own and bare names give the same bits`, async () => {
    const expected = await logits(name);
    const same = async (what: string, change: (files: Files) => Json | undefined) => {
      const got = await logits(name, change);
      assert.is(difference(got, expected).max, 0, what);
    };
    await same("the other spelling", (files) => {
      files.config = respell(files.config);
      return undefined;
    });
    await same("model_type alone", (files) => {
      files.config = without(files.config, "architectures");
      return undefined;
    });
    await same("a head of its own", ({ config, tensors }) => {
      config.tie_word_embeddings = false;
      tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"] as PlainTensor;
      return undefined;
    });
    await same("bare names", (files) => {
      files.tensors = Object.fromEntries(
        Object.entries(files.tensors).map(([key, tensor]) => [key.replace(/^model\./, ""), tensor]),
      );
      return undefined;
    });
    await same("shards", ({ tensors }) => {
      const entries = Object.entries(tensors);
      const parts = [entries.filter((_, i) => i % 2 === 0), entries.filter((_, i) => i % 2 === 1)];
      const files = parts.map((part, i) => [`model-0000${i + 1}-of-00002.safetensors`, part] as const);
      const map = files.flatMap(([file, part]) => part.map(([key]) => [key, file]));
      const index = { metadata: {}, weight_map: Object.fromEntries(map) };
      return Object.fromEntries([
        ...files.map(([file, part]) => [file, writeSafetensors(Object.fromEntries(part))]),
        ["model.safetensors.index.json", new TextEncoder().encode(JSON.stringify(index))],
      ]);
    });
  });
}

test.run();
