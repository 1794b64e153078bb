import type { ModelFile, TensorInfo, TokenizerData } from "../formats/model-file.js";
import type { ByteSource } from "../formats/source.js";
import { StringList } from "../formats/string-list.js";
import { EngineChat } from "../generate/chat.js";
import { loadEngine } from "../load-engine.js";
import { startThreadsWith } from "../model/start-browser-worker.js";
import type { ChatMessage, LoadOptions, Model, ModelStats, Session } from "../types.js";
import { Endpoint, type Port } from "./endpoint.js";
import { mapTensors } from "./map-tensors.js";
import { packHeads } from "./packed-heads.js";
import { lendBytes, type SourceData, sourceFromData } from "./remote-source.js";

/** What a page is told about a model. Tensors name their source by its place in `sources`. */
export interface ModelDescription {
  config: Model["config"];
  contextLength: number;
  file: Omit<ModelFile, "tokenizer" | "close" | "allTensors" | "tensors">;
  /** The tokenizer without its long lists, which follow in parts. */
  tokenizer: TokenizerData;
  tokens: number;
  merges: number;
  tensors: ModelFile["tensors"];
  allTensors: TensorInfo[];
  sources: { at: string; name: string; size: number }[];
}

/** What comes with every answer. */
export interface Note {
  stats: Omit<ModelStats, "attention"> & { attention: Omit<ModelStats["attention"], "heads"> };
  /** From `packHeads`; undefined when they were sent a moment ago: they are long. */
  heads: Float64Array | undefined;
  notes: string[];
  /** Of the session that was called. */
  length: number | undefined;
  /** Of the chat that was called, when they have changed. */
  messages: readonly ChatMessage[] | undefined;
}

/** Lists of metadata longer than this stay with the engine: the vocabulary is in `file.tokenizer` anyway. */
const LONGEST_LIST = 1024;

/** Pieces of a generation come with a note, and single steps with statistics by head, only so often, in milliseconds. */
const NOTE_MS = 100;

/**
 * Owns one model on behalf of somebody who talks to it over `port`.
 * @param startsThreads whoever is at the other end starts the threads, too
 */
export function serveHost(port: Port, { startsThreads = false } = {}): void {
  const endpoint = new Endpoint(port);
  if (startsThreads)
    startThreadsWith(async (start) => {
      await endpoint.call("threads", "start", [start]);
      // The page that went away in the meantime has taken the thread along.
      return { terminate: () => endpoint.call<void>("threads", "terminate", [start.index]).catch(() => {}) };
    });
  let model: Model | undefined;
  let noted = 0;
  const revisions = new WeakMap<EngineChat, number>();
  const changedMessages = (chat: EngineChat) => {
    if ((revisions.get(chat) ?? 0) === chat.revision) return undefined;
    revisions.set(chat, chat.revision);
    return chat.messages;
  };
  endpoint.isLast = (item) => typeof item === "object" && item !== null && "finishReason" in item && "usage" in item;
  endpoint.note = (object, { goesOn, method }): Note | undefined => {
    const now = performance.now();
    const recent = now - noted < NOTE_MS;
    if (!model || (goesOn && recent)) return undefined;
    const { attention, ...stats } = model.stats();
    const { heads, ...sums } = attention;
    const short = method === "step" && recent;
    if (!short) noted = now;
    return {
      stats: { ...stats, attention: sums },
      heads: short ? undefined : packHeads(heads),
      notes: model.file.notes,
      length: typeof object === "object" && object && "length" in object ? Number(object.length) : undefined,
      messages: object instanceof EngineChat ? changedMessages(object) : undefined,
    };
  };
  endpoint.expose("host", {
    async load(source: SourceData, options: LoadOptions) {
      model = await loadEngine(sourceFromData(endpoint, source), options);
      endpoint.expose("model", model);
      endpoint.expose("tokenizer", model.tokenizer);
      return describe(endpoint, model);
    },
    async lengthOf(session: string) {
      return ((await endpoint.exposed(session)) as Session).length;
    },
    /** A part of the long lists, short enough for a page to take in between two frames. */
    vocabulary(from: number, count: number): VocabularyPart {
      const { tokens, merges } = (model as Model).file.tokenizer;
      return { tokens: joined(tokens.slice(from, from + count)), merges: joined(merges.slice(from, from + count)) };
    },
  });
}

function describe(endpoint: Endpoint, model: Model): ModelDescription {
  const { tokenizer, tensors, allTensors, metadata, close, ...file } = model.file;
  const sources: ByteSource[] = [];
  const withoutSource = (tensor: TensorInfo): TensorInfo => {
    if (!sources.includes(tensor.source)) sources.push(tensor.source);
    // The place of the source instead of the source; the page puts it back.
    return { ...tensor, source: sources.indexOf(tensor.source) as unknown as ByteSource };
  };
  return {
    config: model.config,
    contextLength: model.contextLength,
    file: {
      ...file,
      metadata: new Map(
        [...metadata]
          .filter(([, value]) => !(isList(value) && value.length > LONGEST_LIST))
          .map(([key, value]) => [key, value instanceof StringList ? [...value] : value]),
      ),
    },
    tokenizer: { ...tokenizer, tokens: [], merges: [] },
    tokens: tokenizer.tokens.length,
    merges: tokenizer.merges.length,
    tensors: mapTensors(tensors, withoutSource),
    allTensors: allTensors.map(withoutSource),
    sources: sources.map((source) => lendBytes(endpoint, source)),
  };
}

function isList(value: unknown): value is ArrayLike<unknown> | StringList {
  return Array.isArray(value) || ArrayBuffer.isView(value) || value instanceof StringList;
}

/** Some entries of the vocabulary, and as many merges. */
export interface VocabularyPart {
  tokens: JoinedStrings;
  merges: JoinedStrings;
}

/** What `StringList.append` takes. */
interface JoinedStrings {
  text: string;
  lengths: Uint32Array;
}

/** Strings as one: ten thousands arrive as garbage whose collection the caller would feel. */
function joined(strings: readonly string[]): JoinedStrings {
  return { text: strings.join(""), lengths: Uint32Array.from(strings, ({ length }) => length) };
}
