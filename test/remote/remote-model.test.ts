import * as deltallm from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { serveHost } from "#src/remote/host.js";
import { type HostThread, loadRemoteModel } from "#src/remote/remote-model.js";
import { fixture } from "../helpers/fixtures.js";

type Check = (context: { model: deltallm.Model; deltallm: unknown; source: string; bytes: undefined }) => Promise<void>;
const { checks } = (await import(`${fixture("..", "..")}/runtime-tests/suite.mjs`)) as {
  checks: Record<string, Check>;
};

/** A host in this process: the same messages as between a page and its worker. */
function host(): HostThread {
  const { port1, port2 } = new MessageChannel();
  serveHost(port1 as never);
  return {
    port: port2 as never,
    onFailure() {},
    terminate() {
      port1.close();
      port2.close();
    },
  };
}

const loadRemote: deltallm.LoadModel = (source, options = {}) => loadRemoteModel(host(), source, options);
const options = { threads: 1, contextLength: 512 };
const weights = new URL("weights/", `file://${fixture("..", "..")}/`);

for (const [kind, load] of Object.entries({ direct: deltallm.loadModel, "over messages": loadRemote })) {
  const source = new URL("story.gguf", weights);
  const model = await load(source, options);
  for (const [name, check] of Object.entries(checks))
    test(`${kind}: ${name}`, () =>
      check({ model, deltallm: { ...deltallm, loadModel: load }, source: source.href, bytes: undefined }));
}

test("config, file and tokenizer are those of the model itself", async () => {
  const direct = await deltallm.loadModel(new URL("story.gguf", weights), options);
  const remote = await loadRemote(new URL("story.gguf", weights), options);
  assert.equal(remote.config, direct.config);
  assert.equal(remote.file.tokenizer.tokens, direct.file.tokenizer.tokens);
  assert.equal([...remote.file.tokenizer.merges], [...direct.file.tokenizer.merges]);
  assert.equal(remote.file.allTensors.length, direct.file.allTensors.length);
  const { layers, embedding } = remote.file.tensors;
  assert.is(layers.length, direct.config.layers);
  assert.equal(await embedding.source.read(embedding.offset, 16), await read(direct.file.tensors.embedding));
  assert.equal([...remote.tokenizer.encode("a b")], [...direct.tokenizer.encode("a b")]);
  assert.is(remote.tokenizer.addBos, direct.tokenizer.addBos);
  remote.resetStats();
  assert.is(remote.stats().decode.tokens, 0);
  await direct.dispose();
  await remote.dispose();
});

test("a folder of files is opened from afar", async () => {
  const { readFile, readdir } = await import("node:fs/promises");
  const path = fixture("golden", "llama-mini", "hf-bf16");
  const files = await Promise.all(
    (await readdir(path)).map(async (name) => [name, new Uint8Array(await readFile(`${path}/${name}`))] as const),
  );
  const model = await loadRemote(deltallm.filesFolder(files), { threads: 1 });
  assert.is(model.file.container, "safetensors");
  const session = model.createSession();
  assert.is((await session.prefill([1, 2, 3])).length, model.config.vocab);
  await model.dispose();
});

async function read({
  source,
  offset,
}: {
  source: { read(from: number, length: number): Promise<Uint8Array> };
  offset: number;
}) {
  return source.read(offset, 16);
}

test.run();
