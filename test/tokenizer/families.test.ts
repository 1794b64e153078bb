import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Fields } from "#src/formats/gguf/fields.js";
import { readGgufHeader } from "#src/formats/gguf/header.js";
import { readGgufTokenizer } from "#src/formats/gguf/tokenizer.js";
import { readHuggingFaceTokenizer } from "#src/formats/huggingface/tokenizer-files.js";
import { JsonFields } from "#src/formats/json.js";
import type { TokenizerData } from "#src/formats/model-file.js";
import { bytesSource } from "#src/formats/sources/bytes.js";
import { createTokenizer } from "#src/tokenizer/tokenizer.js";
import { shared } from "../helpers/fixtures.js";

type Lists = Record<string, number[][] | Record<string, number[]> | undefined> & { add_bos_default: boolean };

async function fromGguf(path: string): Promise<TokenizerData> {
  const header = await readGgufHeader(bytesSource(readFileSync(path), path));
  return readGgufTokenizer(new Fields(header.metadata, path), 1 << 20);
}

function fromFolder(folder: string): TokenizerData {
  const json = (file: string) => new JsonFields(JSON.parse(readFileSync(`${folder}/${file}`, "utf8")), file);
  const files = { tokenizer: json("tokenizer.json"), tokenizerConfig: json("tokenizer_config.json") };
  return readHuggingFaceTokenizer(files, 1 << 20, []);
}

for (const kind of ["qwen2", "falcon3", "falcon_e", "smaug-bpe", "gpt-4o", "refact", "gemma-spm"]) {
  const folder = shared("golden", "arch", "tokenizers");
  if (!folder) {
    test.skip(`${kind}: ids of all golden strings`);
    continue;
  }
  const strings = JSON.parse(readFileSync(`${folder}/strings.json`, "utf8")) as string[];
  const golden = JSON.parse(readFileSync(`${folder}/${kind}.json`, "utf8")) as Lists;
  for (const [container, suffix] of [
    ["GGUF", "_gguf"],
    ["tokenizer.json", "_tokenizer_json"],
  ] as const)
    for (const engine of ["tiktoken", "pair-merge"] as const)
      test(`${kind} from ${container}: golden ids, ${engine}`, async () => {
        const data =
          container === "GGUF" ? await fromGguf(`${folder}/${kind}/vocab.gguf`) : fromFolder(`${folder}/${kind}`);
        const tokenizer = await createTokenizer(data, { engine });
        assert.is(tokenizer.addBos, golden.add_bos_default);
        const wrong: string[] = [];
        for (const special of [false, true]) {
          const name = special ? "ids_special" : "ids";
          const own = golden[name + suffix] as Record<string, number[]> | undefined;
          strings.forEach((text, i) => {
            const ids = own?.[i] ?? (golden[name] as number[][])[i];
            const got = [...tokenizer.encode(text, { special })];
            if (JSON.stringify(got) !== JSON.stringify(ids))
              wrong.push(`${i} ${special}: ${JSON.stringify(text)} ${got} | ${ids}`);
          });
        }
        assert.equal(wrong, []);
      });
}

test.run();
