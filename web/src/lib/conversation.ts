import { randomId } from "./random.js";

/** Who wrote a message. */
export type Role = "user" | "assistant";

/** How an answer was made: enough to make it again. */
export interface AnswerInfo {
  /** Name of the model. */
  model: string;
  /** Hash of the model's weights and of the options that decide what it computes. */
  fingerprint?: string | undefined;
  seed: number;
  tokens: number;
  tokensPerSecond: number;
  promptTokens: number;
  cachedTokens: number;
  /** Why it ended: `stop`, `length`, `stopped` by the user, or `error`. */
  ended: string;
  error?: string | undefined;
  /** It was written in several parts: the seed alone does not make it again. */
  continued?: boolean | undefined;
}

/** One message; the messages of a conversation form a tree, whose branches are other versions of a turn. */
export interface Message {
  id: string;
  /** The message before; undefined for the first. */
  parent: string | undefined;
  role: Role;
  text: string;
  created: number;
  info?: AnswerInfo | undefined;
}

/** What the user can set per conversation. */
export interface Settings {
  system: string;
  temperature: number;
  topP: number;
  topK: number;
  minP: number;
  repeatPenalty: number;
  maxTokens: number;
  /** undefined: another one each time. */
  seed: number | undefined;
  /** Answers are JSON. */
  json: boolean;
}

export const defaultSettings: Settings = {
  system: "",
  temperature: 0.8,
  topP: 0.95,
  topK: 40,
  minP: 0.05,
  repeatPenalty: 1,
  maxTokens: 1024,
  seed: undefined,
  json: false,
};

export interface Conversation {
  id: string;
  title: string;
  created: number;
  updated: number;
  settings: Settings;
  messages: Message[];
  /** Last message of the branch that is shown. */
  leaf: string | undefined;
}

export function newConversation(settings: Settings = defaultSettings): Conversation {
  const now = Date.now();
  return {
    id: randomId(),
    title: "New chat",
    created: now,
    updated: now,
    settings: { ...settings },
    messages: [],
    leaf: undefined,
  };
}

/** The messages from the first to `leaf`. */
export function branch({ messages, leaf }: Pick<Conversation, "messages" | "leaf">): Message[] {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const path: Message[] = [];
  for (let at = leaf; at !== undefined; ) {
    const message = byId.get(at);
    // A damaged import could point anywhere, or in a circle.
    if (!message || path.length > messages.length) break;
    path.push(message);
    at = message.parent;
  }
  return path.reverse();
}

/** The versions of a turn: messages with the same one before. */
export function versions({ messages }: Pick<Conversation, "messages">, message: Message): Message[] {
  return messages.filter(({ parent, role }) => parent === message.parent && role === message.role);
}

/** The newest end of the branch that goes on from a message. */
export function newestLeaf({ messages }: Pick<Conversation, "messages">, from: string): string {
  for (let at = from; ; ) {
    const next = messages.filter(({ parent }) => parent === at).at(-1);
    if (!next) return at;
    at = next.id;
  }
}

/** A title from the first words that were said. */
export function titleOf(text: string): string {
  const line = text.trim().split("\n")[0] ?? "";
  return line.length > 48 ? `${line.slice(0, 47).trimEnd()}…` : line || "New chat";
}

/**
 * Reads a conversation from a file somebody gave us.
 * @throws Error that says what is wrong
 */
export function readConversation(value: unknown): Conversation {
  const given = value as Partial<Conversation> | null;
  if (typeof given !== "object" || given === null || !Array.isArray(given.messages))
    throw new Error("This is no exported conversation");
  const messages = given.messages.map((each): Message => {
    const { id, parent, role, text, created, info } = each as Partial<Message>;
    if (typeof id !== "string" || typeof text !== "string" || (role !== "user" && role !== "assistant"))
      throw new Error("A message of this conversation is damaged");
    return {
      id,
      parent: typeof parent === "string" ? parent : undefined,
      role,
      text,
      created: typeof created === "number" ? created : Date.now(),
      info: typeof info === "object" && info !== null ? readInfo(info) : undefined,
    };
  });
  return {
    id: randomId(),
    title: typeof given.title === "string" ? given.title.slice(0, 200) : "Imported chat",
    created: typeof given.created === "number" ? given.created : Date.now(),
    updated: Date.now(),
    settings: readSettings(given.settings),
    messages,
    leaf: messages.some(({ id }) => id === given.leaf) ? given.leaf : messages.at(-1)?.id,
  };
}

/** Settings from anywhere: what does not fit is left at its default. */
export function readSettings(value: unknown): Settings {
  const given = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const settings: Settings = { ...defaultSettings };
  for (const [name, standard] of Object.entries(defaultSettings))
    if (typeof given[name] === typeof standard && standard !== undefined)
      Object.assign(settings, { [name]: given[name] });
  if (typeof given.seed === "number" && Number.isSafeInteger(given.seed)) settings.seed = given.seed;
  return settings;
}

function readInfo(info: Partial<AnswerInfo>): AnswerInfo {
  const number = (value: unknown) => (typeof value === "number" && Number.isFinite(value) ? value : 0);
  return {
    model: String(info.model ?? ""),
    fingerprint: typeof info.fingerprint === "string" ? info.fingerprint : undefined,
    seed: number(info.seed),
    tokens: number(info.tokens),
    tokensPerSecond: number(info.tokensPerSecond),
    promptTokens: number(info.promptTokens),
    cachedTokens: number(info.cachedTokens),
    ended: String(info.ended ?? "stop"),
    error: typeof info.error === "string" ? info.error : undefined,
    continued: info.continued === true,
  };
}
