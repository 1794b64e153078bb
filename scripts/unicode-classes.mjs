// Writes src/tokenizer/unicode-classes.ts: which characters tiktoken takes for letters (and of which case), marks, numbers, punctuation and
// symbols. Found by asking it, so that the TypeScript path cuts texts alike whatever Unicode version an engine has.
// To be run again by hand when the version of tiktoken changes.
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { Tiktoken } = require("tiktoken/lite");
const { version } = require(require.resolve("tiktoken/load").replace("load.cjs", "package.json"));
const bytes = `! 0 ${Array.from({ length: 256 }, (_, byte) => Buffer.of(byte).toString("base64")).join(" ")}`;

const lines = [];
for (const name of ["L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "N", "P", "S"]) {
  // What the pattern does not match is dropped: what is left are the members.
  const encoder = new Tiktoken(bytes, {}, `\\p{${name}}`);
  const ranges = [];
  for (let block = 0; block < 0x110000; block += 0x800) {
    if (block >= 0xd800 && block < 0xe000) continue;
    const text = String.fromCodePoint(...Array.from({ length: 0x800 }, (_, i) => block + i));
    for (const character of new TextDecoder("utf-8", { ignoreBOM: true }).decode(
      Uint8Array.from(encoder.encode_ordinary(text)),
    )) {
      const code = character.codePointAt(0);
      const last = ranges.at(-1);
      if (last && last[1] === code - 1) last[1] = code;
      else ranges.push([code, code]);
    }
  }
  encoder.free();
  let next = 0;
  const words = ranges.map(([from, to]) => {
    const word = (from - next).toString(36) + (to > from ? `-${(to - from).toString(36)}` : "");
    next = to + 1;
    return word;
  });
  lines.push(`  ${name}:`);
  let line = "";
  const out = [];
  for (const word of words) {
    if (line.length + word.length > 106) {
      out.push(`${line} `);
      line = "";
    }
    line += `${line ? " " : ""}${word}`;
  }
  out.push(line);
  lines.push(`${out.map((part) => `    "${part}"`).join(" +\n")},`);
}
writeFileSync(
  "src/tokenizer/unicode-classes.ts",
  `// Written by scripts/unicode-classes.mjs from tiktoken ${version}.

/**
 * Members of Unicode's general categories, in the Unicode version of tiktoken: for each range the characters left out before
 * it and, after a dash, those it has more than one; to the base of 36. Read by \`unicodeClass\`.
 */
export const unicodeClasses: Readonly<Record<string, string>> = {
${lines.join("\n")}
};
`,
);
