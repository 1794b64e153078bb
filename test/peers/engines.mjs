// The two engines as one interface: `start(spec)` gives `{ mask(): Set of ids, accept(id) }`, or undefined for a schema
// they refuse. Both are used as published; what keeps them from running in Node is put right in a copy.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = resolve(fileURLToPath(import.meta.url), "..");
const copies = join(here, "node_modules/.copies");
const installed = (path) => readFileSync(join(here, "node_modules", path), "utf8");

/** @param bytes of each token; the last token ends a text */
export async function xgrammar(bytes) {
  // UMD in a package that says it has modules.
  writeFileSync(join(copies, "xgrammar.cjs"), installed("@mlc-ai/web-xgrammar/lib/index.js"));
  const engine = createRequire(import.meta.url)(join(copies, "xgrammar.cjs"));
  const size = bytes.length + 1;
  const text = (token) =>
    token.length === 1 ? `<0x${token[0].toString(16).toUpperCase().padStart(2, "0")}>` : Buffer.from(token).toString();
  const vocabulary = [...bytes.map(text), "</s>"];
  const info = await engine.TokenizerInfo.createTokenizerInfo(vocabulary, "byte_fallback", false, size, [size - 1]);
  const compiler = await engine.GrammarCompiler.createGrammarCompiler(info, false);
  return async ({ schema, grammar }) => {
    const compiled =
      grammar === undefined
        ? await compiler.compileJSONSchema(JSON.stringify(schema), false, -1, [",", ":"], true)
        : await compiler.compileGrammar(grammar);
    const matcher = await engine.GrammarMatcher.createGrammarMatcher(compiled);
    return {
      async mask() {
        const words = await matcher.getNextTokenBitmask();
        return new Set(Array.from({ length: size }, (_, id) => id).filter((id) => (words[id >> 5] >>> (id & 31)) & 1));
      },
      accept: (id) => matcher.acceptToken(id),
      dispose() {
        matcher.dispose();
        compiled.dispose();
      },
    };
  };
}

/** The same of `@huggingface/transformers-structured-output`. */
export async function structuredOutput(bytes) {
  // The library it belongs to is large, and of it only two base classes are used.
  const stub = "class LogitsProcessor {}\nclass LogitsProcessorList { push() {} }\n";
  const code = installed("@huggingface/transformers-structured-output/dist/index.js").replace(
    /import \{[^}]*\} from "@huggingface\/transformers";/,
    stub,
  );
  writeFileSync(join(copies, "structured-output.mjs"), `${code}\nexport { createTokenConstraint };\n`);
  const { createTokenConstraint } = await import(pathToFileURL(join(copies, "structured-output.mjs")));
  const size = bytes.length + 1;
  const tokenizer = { tokens: [...bytes, new Uint8Array(0)], eosTokenId: size - 1, specialTokenIds: [size - 1] };
  return async ({ schema, regex }) => {
    const separators = { item_separator: ",", key_separator: ":", whitespace_flexible: false };
    const format =
      regex === undefined
        ? { type: "json_schema", json_schema: { ...schema, "x-guidance": separators } }
        : { type: "regex", regex };
    const constraint = createTokenConstraint(tokenizer, format);
    const words = new Uint32Array(Math.ceil(size / 32));
    return {
      async mask() {
        constraint.fillMask(words);
        return new Set(Array.from({ length: size }, (_, id) => id).filter((id) => (words[id >> 5] >>> (id & 31)) & 1));
      },
      accept: (id) => {
        constraint.commit(id);
        return true;
      },
      dispose() {},
    };
  };
}

mkdirSync(copies, { recursive: true });
