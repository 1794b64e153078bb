import { test } from "uvu";
import * as assert from "uvu/assert";
import type { TokenizerData } from "#src/formats/model-file.js";
import { createTokenizer, type ModelTokenizer } from "#src/tokenizer/tokenizer.js";
import { fixture, llama3Data, smollm2Data, storyData } from "../helpers/tokenizers.js";

const strings = fixture<string[]>("strings.json");

interface Golden {
  ids: number[][];
  ids_special: number[][];
}

const check = (tokenizer: ModelTokenizer, golden: Golden, lossy: number[] = []) => {
  strings.forEach((text, i) => {
    assert.equal([...tokenizer.encode(text)], golden.ids[i], JSON.stringify(text));
    assert.equal([...tokenizer.encode(text, { special: true })], golden.ids_special[i], JSON.stringify(text));
    if (!lossy.includes(i)) assert.is(tokenizer.decode(golden.ids[i]!), text);
  });
};

for (const engine of ["tiktoken", "pair-merge", undefined] as const) {
  const name = engine ?? "default";

  test(`story: all golden ids, ${name}`, async () => {
    const tokenizer = await createTokenizer(storyData(), { engine });
    assert.is(tokenizer.engine, engine ?? "tiktoken");
    check(tokenizer, fixture("story.json"));
    const named: TokenizerData = { ...storyData(), pattern: undefined, pre: "llama-bpe" };
    check(await createTokenizer(named, { engine }), fixture("story.json"));
  });

  test(`llama 3: all golden ids, ${name}`, async () => {
    const golden = fixture<
      Golden & {
        special_3_0: Record<string, number>;
        special_3_1: Record<string, number>;
        ids_special_3_0: Record<string, number[]>;
      }
    >("llama3.json");
    const data = llama3Data(golden.special_3_1);
    if (!data) return;
    const tokenizer = await createTokenizer(data, { engine });
    assert.is(tokenizer.engine, engine ?? "tiktoken");
    check(tokenizer, golden);
    const older = await createTokenizer(llama3Data(golden.special_3_0)!, { engine });
    for (const [i, ids] of Object.entries(golden.ids_special_3_0))
      assert.equal([...older.encode(strings[Number(i)]!, { special: true })], ids);
    tokenizer.dispose();
    older.dispose();
  });

  test(`SmolLM2: all golden ids, ${name}`, async () => {
    const data = smollm2Data();
    if (!data) return;
    const golden = fixture<
      Golden & {
        lossy_strings: number[];
        missing_bytes: number[];
        examples_of_missing_bytes: { text: string; ids: number[] }[];
        around_dropped_bytes: { text: string; ids: number[] }[];
      }
    >("smollm2.json");
    const tokenizer = await createTokenizer(data, { engine });
    assert.is(tokenizer.engine, engine ?? "tiktoken");
    check(tokenizer, golden, golden.lossy_strings);
    for (const { text, ids } of [...golden.examples_of_missing_bytes, ...golden.around_dropped_bytes])
      assert.equal([...tokenizer.encode(text)], ids, JSON.stringify(text));
  });
}

test.run();
