import { openEmbedded } from "#src/embedded.js";
import { openModel } from "#src/formats/open.js";
import { createTokenizer } from "#src/tokenizer/tokenizer.js";
import type { Case, Group, Suite } from "../harness/suite.js";

const english =
  "Once upon a time, there was a little girl named Lily. She lived near the woods, and every morning she fed the " +
  "birds 12 crumbs of bread. “Why do you sing?” she asked. They didn't answer; they sang louder!\n\n";
const code = 'for (let i = 0; i < 1024; i++) {\n    total += values[i] ?? 0; // "sum"\n}\nconst x_1 = 3.14159e-10;\n';
const mixed = "Übermäßig naïve café — 東京は日本の首都です。 Привет, мир! 안녕하세요 🙂🙃 ½ ≤ √2\n";

/** About how many characters of text a call encodes. */
const LENGTH = 20_000;

export const tokenizing: Suite = {
  name: "tokenizer",
  title: "Tokenizers: text to ids and back",
  unit: "token",
  groups: ({ size, models }) =>
    ["embedded", ...models.filter((name) => name !== "embedded" && !name.startsWith("random:"))].map(
      (name): Group => ({
        name: name.split("/").at(-1) as string,
        async prepare() {
          const file = name === "embedded" ? await openEmbedded(undefined) : await openModel(name);
          const tokenizer = await createTokenizer(file.tokenizer);
          const cases = Object.entries({ English: english, code, mixed }).flatMap(([kind, text]): Case[] => {
            const long = text.repeat(size === "smoke" ? 1 : Math.ceil(LENGTH / text.length));
            const ids = tokenizer.encode(long);
            const labels = { model: name, text: kind };
            const facts = () => ({ charactersPerToken: long.length / ids.length });
            return [
              {
                name: `encode ${kind}`,
                labels: { ...labels, way: "encode" },
                work: ids.length,
                run: () => tokenizer.encode(long),
                facts,
              },
              {
                name: `decode ${kind}`,
                labels: { ...labels, way: "decode" },
                work: ids.length,
                run: () => tokenizer.decode(ids),
                facts,
              },
            ];
          });
          return { cases, dispose: () => file.close() };
        },
      }),
    ),
};
