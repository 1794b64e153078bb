import { type ModelFile, type TokenizerData, TokenType } from "./model-file.js";

/** A model whose published files are known to say wrong or too little. */
interface KnownModel {
  name: string;
  /** Whether the shape and the special tokens are this model's. The name in the file is not asked: anybody may write it. */
  matches(file: ModelFile): boolean;
  /** Corrects the file's facts; returns a sentence for each change. */
  correct(file: ModelFile): string[];
}

/** Chat template of BitNet-2B-4T's tokenizer_config.json; it has no BOS, which is put in front once (`addBos`). */
export const bitnet2bTemplate =
  "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = message['role'] | capitalize + ': '+ message['content'] | trim + '<|eot_id|>' %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}";

/** Chat template of SmolLM2-Instruct's tokenizer_config.json. */
export const smollm2Template =
  "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/** Models of the size of Llama 3.2 (1B: 2048, 3B: 3072) scale the rotation by 32; the larger ones of 3.1 by 8. */
const LARGEST_LLAMA_32_HIDDEN = 3072;

const knownModels: readonly KnownModel[] = [
  {
    name: "BitNet b1.58 2B4T",
    matches: ({ config, tokenizer }) =>
      config.architecture === "bitnet" &&
      config.layers === 30 &&
      config.hidden === 2560 &&
      isLlama3Vocabulary(tokenizer),
    correct({ container, tokenizer }) {
      const changes = [
        ...setLlama3PreTokenizer(tokenizer),
        ...addEnds(tokenizer, ["<|end_of_text|>", "<|eot_id|>"]),
        ...setBos(tokenizer, 128_000),
      ];
      // Published GGUF files carry a template of the converter's ("Human: … BITNETAssistant: ").
      const wrong = container === "gguf" || (tokenizer.chatTemplate?.includes("BITNETAssistant") ?? true);
      if (wrong && tokenizer.chatTemplate !== bitnet2bTemplate) {
        tokenizer.chatTemplate = bitnet2bTemplate;
        changes.push("the chat template is the one it was trained with");
      }
      return changes;
    },
  },
  {
    name: "Llama 3",
    matches: ({ config, tokenizer }) => config.architecture === "llama" && isLlama3Vocabulary(tokenizer),
    correct(file) {
      const { config, tokenizer, tensors } = file;
      const changes = [
        ...setLlama3PreTokenizer(tokenizer),
        ...addEnds(tokenizer, ["<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"]),
        ...setBos(tokenizer, 128_000),
      ];
      // 3.1 and 3.2 are told from 3.0 by their context of 131072 tokens.
      if (
        file.container === "gguf" &&
        config.contextLength === 131_072 &&
        !tensors.ropeFactors &&
        !config.ropeScaling
      ) {
        const factor = config.hidden <= LARGEST_LLAMA_32_HIDDEN ? 32 : 8;
        config.ropeScaling = { factor, lowFreqFactor: 1, highFreqFactor: 4, originalContextLength: 8192 };
        changes.push(`the file lacks rope_freqs: the rotation is scaled by ${factor}`);
      }
      return changes;
    },
  },
  {
    name: "SmolLM2",
    matches: ({ config, tokenizer }) =>
      config.architecture === "llama" &&
      config.vocab === 49_152 &&
      tokenizer.tokens[0] === "<|endoftext|>" &&
      tokenizer.tokens[1] === "<|im_start|>" &&
      tokenizer.tokens[2] === "<|im_end|>",
    correct({ tokenizer }) {
      const changes = addEnds(tokenizer, ["<|im_end|>", "<|endoftext|>"]);
      if (tokenizer.pre === undefined && tokenizer.pattern === undefined) {
        tokenizer.pre = "smollm";
        changes.push("the pre-tokenizer is smollm");
      }
      tokenizer.addBos ??= false;
      // The base model begins texts with token 0, the instruct model with 1.
      if (tokenizer.chatTemplate === undefined && tokenizer.bosId === 1) {
        tokenizer.chatTemplate = smollm2Template;
        changes.push("the file lacks a chat template; the published one is used");
      }
      return changes;
    },
  },
  {
    name: "Phi-3",
    matches: ({ container, config, tokenizer }) =>
      container === "gguf" && config.architecture === "phi3" && tokenizer.kind === "sentencepiece",
    // GGUF has no place for it (llama.cpp src/llama-vocab.cpp does the same).
    correct({ tokenizer }) {
      const plain = ["<unk>", "<s>", "<|endoftext|>"];
      const marked = tokenizer.tokens
        .map((text, id) => ({ text, id, type: tokenizer.types[id] }))
        .filter(({ text, type }) => (type === TokenType.control || text === "</s>") && !plain.includes(text));
      tokenizer.stripRight = marked.map(({ id }) => id);
      return marked.length > 0 ? ["white space after special tokens belongs to them"] : [];
    },
  },
];

/** Corrects what files of known models are known to get wrong, and notes every change. */
export function correctKnownModel(file: ModelFile): void {
  const known = knownModels.find((model) => model.matches(file));
  if (known) file.notes.push(...known.correct(file).map((change) => `Known model ${known.name}: ${change}`));
}

function isLlama3Vocabulary({ tokens }: TokenizerData): boolean {
  return (
    tokens[128_000] === "<|begin_of_text|>" && tokens[128_001] === "<|end_of_text|>" && tokens[128_009] === "<|eot_id|>"
  );
}

function setLlama3PreTokenizer(tokenizer: TokenizerData): string[] {
  if (tokenizer.pattern !== undefined || (tokenizer.pre !== undefined && tokenizer.pre !== "default")) return [];
  tokenizer.pre = "llama-bpe";
  return ["the file does not name its pre-tokenizer, which is llama-bpe"];
}

function addEnds(tokenizer: TokenizerData, texts: string[]): string[] {
  const missing = texts
    .map((text) => ({ text, id: tokenizer.tokens.lastIndexOf(text) }))
    .filter(({ id }) => id >= 0 && !tokenizer.eosIds.includes(id));
  tokenizer.eosIds.push(...missing.map(({ id }) => id));
  return missing.map(({ text, id }) => `${text} (${id}) ends a text too`);
}

function setBos(tokenizer: TokenizerData, id: number): string[] {
  if (tokenizer.bosId === id && tokenizer.addBos === true) return [];
  tokenizer.bosId = id;
  tokenizer.addBos = true;
  return [`texts begin with ${tokenizer.tokens[id]} (${id})`];
}
