import { UnsupportedError } from "../errors.js";
import { LinearPattern } from "./linear-pattern.js";
import { unicodeClass } from "./unicode-class.js";

/** How a text is cut into the pieces inside which byte-level BPE joins bytes. */
export interface PreTokenizer {
  /** Applied one after the other, each to the pieces of the one before; what a pattern leaves out is a piece too. */
  stages: string[];
  /** The same cut as one pattern that leaves nothing out; absent when there is none, or nobody knows how long it takes. */
  pattern?: string | undefined;
  /** The patterns are well known: no text makes them slow. Others came with a file. */
  trusted: boolean;
  /** A piece that is a token is taken whole, whatever the merges say (`ignore_merges`). */
  wholePieces: boolean;
  /** Whether such models begin a text with their first token when the file does not say. */
  addBos: boolean;
}

const contractions = "'s|'t|'re|'ve|'m|'ll|'d";
const llama3 = (digits: string) =>
  `(?i:${contractions})|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const gpt2 = `${contractions}| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+`;
// A word is letters that go from upper to lower case once, with the contraction after it; marks count as letters.
const upper = "\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}";
const lower = "\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}";
const word = (letters: string) => `[^\\r\\n\\p{L}\\p{N}]?${letters}(?i:${contractions})?`;
const gpt4o = `${word(`[${upper}]*[${lower}]+`)}|${word(`[${upper}]+[${lower}]*`)}|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
// Digits first, then gpt2, as one pattern: space before a digit is cut by neither look-ahead of gpt2, so it needs its own.
const digitsThenGpt2 = `${contractions}|\\p{N}| ?\\p{L}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?=\\p{N})|\\s+(?!\\S)|\\s+`;

const single = (pattern: string, rest: Partial<PreTokenizer> = {}): PreTokenizer => ({
  stages: [pattern],
  pattern,
  trusted: true,
  wholePieces: false,
  addBos: false,
  ...rest,
});

// Names and patterns as in llama.cpp, src/llama-vocab.cpp.
const kinds: [names: string[], kind: PreTokenizer][] = [
  [
    ["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon_e", "falcon-h1", "pixtral", "midm-2.0", "lfm2"],
    single(llama3("\\p{N}{1,3}"), { wholePieces: true, addBos: true }),
  ],
  [["dbrx", "smaug-bpe", "chatglm-bpe", "glm4"], single(llama3("\\p{N}{1,3}"))],
  [["gpt-4o", "llama4"], single(gpt4o)],
  [["qwen2", "deepseek-r1-qwen", "stablelm2", "hunyuan", "megrez"], single(llama3("\\p{N}"))],
  [
    ["gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de"],
    single(gpt2),
  ],
  [
    ["smollm", "starcoder", "command-r", "refact", "codeshell", "exaone", "minerva-7b"],
    { stages: ["\\p{N}", gpt2], pattern: digitsThenGpt2, trusted: true, wholePieces: false, addBos: false },
  ],
  [
    ["default"],
    {
      stages: ["[\\p{P}$+<=>^~|]+", gpt2, "\\p{N}+", "[0-9][0-9][0-9]"],
      trusted: true,
      wholePieces: false,
      addBos: false,
    },
  ],
  [
    ["falcon"],
    { stages: ["[\\p{P}$+<=>^~|`]+", gpt2, "[0-9][0-9][0-9]"], trusted: true, wholePieces: false, addBos: false },
  ],
];
/** Patterns of published models, which no text makes slow. */
const knownPatterns: ReadonlySet<string | undefined> = new Set(
  kinds.flatMap(([, { stages, pattern }]) => [...stages, pattern]),
);
const byName = new Map(kinds.flatMap(([names, kind]) => names.map((name) => [name, kind] as const)));

/** Names that `preTokenizer` knows. */
export const preTokenizerNames: readonly string[] = [...byName.keys()];

/**
 * The cut a model file asks for: its own pattern, or the one of that name; llama.cpp's `default` when it says nothing.
 * @param wholePieces what the file says of `ignore_merges`; for a pattern of its own only
 * @throws UnsupportedError when the name is not known
 */
export function preTokenizer(name?: string, pattern?: string, wholePieces = false): PreTokenizer {
  if (pattern !== undefined)
    return knownPatterns.has(pattern)
      ? single(pattern, { wholePieces })
      : { stages: [pattern], trusted: false, wholePieces, addBos: false };
  const kind = byName.get(name ?? "default");
  if (!kind)
    throw new UnsupportedError(
      `The pre-tokenizer "${name}" is not supported`,
      { key: "tokenizer.ggml.pre" },
      `Supported are ${preTokenizerNames.join(", ")}`,
    );
  return kind;
}

const whiteSpace = "\\t-\\r \\x85\\xA0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000";
const members = new Map<string, string>();
/** Members of a general category, to stand inside a class; undefined for one that is left to the engine. */
function membersOf(category: string): string | undefined {
  let found = members.get(category);
  if (found === undefined) {
    const ranges = unicodeClass(category);
    if (ranges === undefined) return undefined;
    const point = (code: number) => `\\u{${code.toString(16)}}`;
    found = ranges.map(([a, b]) => (a === b ? point(a) : `${point(a)}-${point(b)}`)).join("");
    members.set(category, found);
  }
  return found;
}

// Letters that Unicode folds onto an ASCII letter.
const folded: Record<string, string> = { s: "\u017F", k: "\u212A" };

/**
 * A pattern in the dialect of Rust's fancy-regex (that of tiktoken and tokenizers) as a JavaScript expression:
 * `\s` is Unicode's White_Space (JavaScript's differs at U+0085 and U+FEFF), `\p{L}`, `\p{N}` and other main categories
 * are those of tiktoken's Unicode version, `(?i:…)` is spelt out, and possessive quantifiers become ordinary ones.
 * @throws UnsupportedError when JavaScript cannot express it
 */
export function javascriptPattern(pattern: string): RegExp {
  let out = "";
  let inClass = false;
  const insensitive: boolean[] = [];
  const tokens = pattern.match(/\\[pP]\{[^}]*\}|\\x\{[0-9a-fA-F]+\}|\\.|\(\?i:|\(\?>|[*+?}]\+|./gsu) ?? [];
  for (const token of tokens) {
    if (token === "\\s") out += inClass ? whiteSpace : `[${whiteSpace}]`;
    else if (token === "\\S" && !inClass) out += `[^${whiteSpace}]`;
    else if (token.startsWith("\\p{") && membersOf(token.slice(3, -1)) !== undefined) {
      const category = membersOf(token.slice(3, -1))!;
      out += inClass ? category : `[${category}]`;
    } else if (token.startsWith("\\x{")) out += `\\u${token.slice(2)}`;
    else if (/^\\[^\w^$\\.*+?()[\]{}|/-]$/u.test(token) || (token === "\\-" && !inClass)) out += token.slice(1);
    else if (token.length > 1 && token.startsWith("\\")) out += token;
    else if (inClass) {
      if (token === "]") inClass = false;
      out += token.length > 1 ? token : token === "[" ? "\\[" : token;
    } else if (token === "[") {
      inClass = true;
      out += token;
    } else if (token.startsWith("(")) {
      insensitive.push(token === "(?i:" || insensitive.at(-1) === true);
      out += token.length > 1 ? "(?:" : token;
    } else if (token === ")") {
      insensitive.pop();
      out += token;
    } else if (insensitive.at(-1) && /^[a-z]$/i.test(token)) {
      const lower = token.toLowerCase();
      out += `[${lower}${lower.toUpperCase()}${folded[lower] ?? ""}]`;
    } else out += token.length === 2 ? token[0] : token;
  }
  try {
    return new RegExp(out, "gu");
  } catch (cause) {
    throw new UnsupportedError(`The pre-tokenizer pattern ${pattern} cannot be used`, {}, undefined, { cause });
  }
}

/** What cuts a text: used with `text.matchAll(pattern)`. */
export type TextPattern = RegExp | LinearPattern;

/** The stages of a cut, ready for use: those that came with a file take time proportional to the text, whatever they are. */
export function compileStages({ stages, trusted }: PreTokenizer): TextPattern[] {
  const patterns = stages.map(javascriptPattern);
  return trusted ? patterns : patterns.map(({ source }) => new LinearPattern(source));
}

const linear = new WeakMap<RegExp, LinearPattern>();

/** Cuts a text by all stages. The pieces together are the text. */
export function splitText(text: string, stages: readonly TextPattern[]): string[] {
  let pieces = text ? [text] : [];
  for (const stage of stages) {
    const cut: string[] = [];
    for (const piece of pieces) {
      const before = cut.length;
      try {
        cutInto(cut, piece, stage);
      } catch (error) {
        // Some millions of letters without a break are more than the stack of the built-in engine holds.
        if (!(error instanceof RangeError && stage instanceof RegExp)) throw error;
        cut.length = before;
        let patient = linear.get(stage);
        if (!patient) {
          patient = new LinearPattern(stage.source);
          linear.set(stage, patient);
        }
        cutInto(cut, piece, patient);
      }
    }
    pieces = cut;
  }
  return pieces;
}

function cutInto(cut: string[], piece: string, stage: TextPattern): void {
  let done = 0;
  for (const match of piece.matchAll(stage as RegExp)) {
    if (match.index > done) cut.push(piece.slice(done, match.index));
    if (match[0]) cut.push(match[0]);
    done = match.index + match[0].length;
  }
  if (done < piece.length) cut.push(piece.slice(done));
}
