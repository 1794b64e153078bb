import { SessionError } from "../errors.js";
import type { ModelFile, TensorInfo } from "../formats/model-file.js";
import { StringList } from "../formats/string-list.js";
import type { Prompt } from "../generate/prompt.js";
import type { Calibration } from "../kv/calibration.js";
import type { StartWorker, WorkerHandle, WorkerStart } from "../threads/team.js";
import type { GenerateOptions } from "../types/generate-options.js";
import type {
  CalibrateOptions,
  Chat,
  ChatOptions,
  Completion,
  ContinuationScore,
  Embeddings,
  EmbedOptions,
  LoadOptions,
  Model,
  ModelSource,
  ModelStats,
  Piece,
  Sampler,
  SamplingOptions,
  ScoreOptions,
  Session,
  SignalOptions,
  TokenIds,
} from "../types.js";
import { Endpoint, type Port } from "./endpoint.js";
import type { ModelDescription, Note, VocabularyPart } from "./host.js";
import { mapTensors } from "./map-tensors.js";
import { PageTokenizer } from "./page-tokenizer.js";
import { RemoteChat } from "./remote-chat.js";
import { RemoteSampler } from "./remote-sampler.js";
import { plain, RemoteSession } from "./remote-session.js";
import { borrowBytes, sourceToData } from "./remote-source.js";
import { RemoteStats } from "./remote-stats.js";
import { streamPieces } from "./stream-pieces.js";

/** Entries of the vocabulary sent at once: some milliseconds of work for the page. */
const VOCABULARY_PART = 8192;
/** How long an engine may take to stop by itself, in milliseconds. */
const DISPOSE_PATIENCE = 2000;

/** A thread that runs `serveHost`. */
export interface HostThread {
  port: Port;
  /** Calls back when the thread dies. */
  onFailure(report: (error: Error) => void): void;
  /** Starts a thread for the engine, where the engine had better not do that itself. `terminate` ends it too. */
  startThread?: StartWorker;
  terminate(): void;
}

/** Loads a model in another thread. The result is used like any other model. */
export async function loadRemoteModel(host: HostThread, source: ModelSource, options: LoadOptions): Promise<Model> {
  const endpoint = new Endpoint(host.port);
  host.onFailure((error) => endpoint.close(error));
  exposeThreads(endpoint, host);
  try {
    const data = sourceToData(endpoint, source);
    let note: Note | undefined;
    endpoint.onNote = (latest) => {
      note = latest as Note;
    };
    const description = await endpoint.call<ModelDescription>("host", "load", [data, options]);
    const tokens = new StringList();
    const merges = new StringList();
    for (let from = 0; from < Math.max(description.tokens, description.merges); from += VOCABULARY_PART) {
      options.signal?.throwIfAborted();
      const part = await endpoint.call<VocabularyPart>("host", "vocabulary", [from, VOCABULARY_PART]);
      tokens.append(part.tokens.text, part.tokens.lengths);
      merges.append(part.merges.text, part.merges.lengths);
    }
    let made: string[] | undefined;
    const tokenizer = {
      ...description.tokenizer,
      merges,
      // When first asked for: as strings of their own they hold the caller up for some milliseconds.
      get tokens() {
        made ??= tokens.slice(0, tokens.length);
        return made;
      },
    };
    return new RemoteModel(host, endpoint, description, tokenizer, note as Note);
  } catch (error) {
    endpoint.close(disposed());
    host.terminate();
    throw error;
  }
}

/** Lets the engine start threads here; it names them by number. */
function exposeThreads(endpoint: Endpoint, { startThread }: HostThread): void {
  const threads = new Map<number, WorkerHandle>();
  endpoint.expose("threads", {
    async start(start: WorkerStart) {
      if (!startThread) throw new Error("no threads from here");
      threads.set(start.index, await startThread(start));
    },
    async terminate(index: number) {
      await threads.get(index)?.terminate();
    },
  });
}

/** A model whose engine runs in another thread. */
class RemoteModel implements Model {
  readonly config: Model["config"];
  readonly contextLength: number;
  readonly file: ModelFile;
  readonly tokenizer: PageTokenizer;
  readonly #host: HostThread;
  readonly #endpoint: Endpoint;
  readonly #sessions = new Map<string, RemoteSession>();
  readonly #chats = new Map<string, RemoteChat>();
  /** Names of the sessions and chats that are not disposed of. */
  readonly #open = new Set<string>();
  readonly #stats: RemoteStats;
  #disposing: Promise<void> | undefined;

  constructor(
    host: HostThread,
    endpoint: Endpoint,
    description: ModelDescription,
    tokenizer: ModelFile["tokenizer"],
    note: Note,
  ) {
    this.#host = host;
    this.#endpoint = endpoint;
    this.#stats = new RemoteStats(note);
    this.config = description.config;
    this.contextLength = description.contextLength;
    const sources = description.sources.map((source) => borrowBytes(endpoint, source));
    const withSource = (tensor: TensorInfo): TensorInfo => ({
      ...tensor,
      source: sources[tensor.source as unknown as number]!,
    });
    this.file = {
      ...description.file,
      tokenizer,
      tensors: mapTensors(description.tensors, withSource),
      allTensors: description.allTensors.map(withSource),
      close: () => this.dispose(),
    };
    this.tokenizer = new PageTokenizer(tokenizer, endpoint);
    endpoint.onNote = (latest, target) => {
      if (!latest) return;
      const { notes, length, messages } = latest as Note;
      this.#stats.update(latest as Note);
      this.file.notes = notes;
      const session = this.#sessions.get(target);
      if (session && length !== undefined) session.length = length;
      const chat = this.#chats.get(target);
      if (chat && messages) chat.messages = messages;
    };
  }

  stats(): ModelStats {
    return this.#stats.get();
  }

  resetStats(): void {
    this.#stats.reset();
    this.#endpoint.call("model", "resetStats", []).catch(() => {});
  }

  generate(prompt: Prompt, options: GenerateOptions = {}): AsyncIterable<Piece> {
    return streamPieces(this.#endpoint, "model", "generate", [plain(prompt), options]);
  }

  complete<T = unknown>(prompt: Prompt, options: GenerateOptions = {}): Promise<Completion<T>> {
    return this.#endpoint.call("model", "complete", [plain(prompt), options]);
  }

  createChat(options: ChatOptions = {}): Chat {
    const chat = this.#newChat(options);
    // Should it fail, whoever uses the chat is told.
    this.#endpoint.call("model", "createChat", [options], chat.name).catch(() => {});
    return chat;
  }

  createSession(): Session {
    const session = this.#newSession();
    this.#endpoint.call("model", "createSession", [], session.name).catch(() => {});
    return session;
  }

  createSampler(options: SamplingOptions = {}): Sampler {
    const name = this.#endpoint.newName("sampler");
    this.#endpoint.call("model", "createSampler", [options], name).catch(() => {});
    this.#open.add(name);
    return new RemoteSampler(this.#endpoint, name, () => this.#drop(name));
  }

  async restore(bytes: Uint8Array, options: SignalOptions = {}): Promise<Session> {
    return this.#opened("model", "restore", [bytes, options]);
  }

  async score(
    context: string | TokenIds | readonly TokenIds[],
    continuations: readonly (string | TokenIds)[],
    options: ScoreOptions = {},
  ): Promise<ContinuationScore[]> {
    return this.#endpoint.call("model", "score", [plain(context), continuations.map(plain), options]);
  }

  async scoreWindow(ids: TokenIds, options: ScoreOptions = {}): Promise<Float32Array> {
    return this.#endpoint.call("model", "scoreWindow", [plain(ids), options]);
  }

  embed(texts: readonly (string | TokenIds)[], options: EmbedOptions = {}): Promise<Embeddings> {
    return this.#endpoint.call("model", "embed", [texts.map(plain), options]);
  }

  async calibrate(text: string | TokenIds, options: CalibrateOptions = {}): Promise<Calibration> {
    return this.#endpoint.call("model", "calibrate", [plain(text), options]);
  }

  dispose(): Promise<void> {
    this.#disposing ??= this.#end();
    return this.#disposing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #end(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, DISPOSE_PATIENCE);
    });
    // Threads stop by themselves when the model is told; a thread stuck in long work is ended with its worker.
    const told = this.#endpoint.call<void>("model", "dispose", []).catch(() => {});
    await Promise.race([told, patience]);
    clearTimeout(timer);
    this.#endpoint.close(disposed());
    this.tokenizer.dispose();
    this.#host.terminate();
  }

  #newChat(options: ChatOptions): RemoteChat {
    const chat: RemoteChat = new RemoteChat(this.#endpoint, this.#endpoint.newName("chat"), options, {
      fork: async (options) => {
        const fork = this.#newChat({ messages: chat.messages });
        await this.#made(fork.name, chat.name, "fork", [options]);
        return fork;
      },
      drop: () => this.#drop(chat.name),
    });
    this.#chats.set(chat.name, chat);
    this.#open.add(chat.name);
    return chat;
  }

  #newSession(): RemoteSession {
    const session: RemoteSession = new RemoteSession(this.#endpoint, this.#endpoint.newName("session"), {
      fork: (options) => this.#opened(session.name, "fork", [options]),
      drop: () => this.#drop(session.name),
    });
    this.#sessions.set(session.name, session);
    this.#open.add(session.name);
    return session;
  }

  /** A session that a method of the other side makes. */
  async #opened(target: string, method: string, args: unknown[]): Promise<Session> {
    const session = this.#newSession();
    await this.#made(session.name, target, method, args);
    session.length = await this.#endpoint.call<number>("host", "lengthOf", [session.name]);
    return session;
  }

  /** Has the other side make what is called `name`; when it fails, nothing is left of it. */
  async #made(name: string, target: string, method: string, args: unknown[]): Promise<void> {
    try {
      await this.#endpoint.call(target, method, args, name);
    } catch (error) {
      this.#sessions.delete(name);
      this.#chats.delete(name);
      this.#open.delete(name);
      this.#endpoint.forget(name);
      throw error;
    }
  }

  async #drop(name: string): Promise<void> {
    this.#sessions.delete(name);
    this.#chats.delete(name);
    if (this.#disposing || !this.#open.delete(name)) return;
    await this.#endpoint.call(name, "dispose", []);
    this.#endpoint.forget(name);
  }
}

function disposed(): SessionError {
  return new SessionError("This model has been disposed of", {}, "Load it again");
}
