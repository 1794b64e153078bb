import { computed, signal } from "@preact/signals";
import {
  branch,
  type Conversation,
  type Message,
  newConversation,
  newestLeaf,
  readConversation,
  type Settings,
  titleOf,
} from "../lib/conversation.js";
import * as history from "../lib/history.js";
import { answering, stop } from "./writing.js";

/** All conversations, the newest first. */
export const conversations = signal<readonly Conversation[]>([]);
/** The one that is shown; a new one is kept only once something is said in it. */
export const current = signal<Conversation>(newConversation());
/** Messages of the branch that is shown. */
export const shown = computed(() => branch(current.value));
/** What is wrong with keeping conversations, if anything is. */
export const historyProblem = signal<string | undefined>(undefined);

/** Loads what was kept earlier. */
export async function loadHistory(): Promise<void> {
  await keeping(async () => {
    const kept = await history.loadAll();
    // What was begun or imported meanwhile stays.
    const newer = conversations.value;
    conversations.value = [...newer, ...kept.filter(({ id }) => !newer.some((each) => each.id === id))];
  });
}

export function startConversation(): void {
  current.value = newConversation({ ...current.value.settings, seed: undefined });
}

export function openConversation(id: string): void {
  const found = conversations.value.find((each) => each.id === id);
  if (found) current.value = found;
}

/** Changes a conversation and keeps it. */
export function change(id: string, update: (conversation: Conversation) => Partial<Conversation>): void {
  const before = current.value.id === id ? current.value : conversations.value.find((each) => each.id === id);
  if (!before) return;
  const after: Conversation = { ...before, ...update(before), updated: Date.now() };
  if (current.value.id === id) current.value = after;
  if (after.messages.length === 0) return;
  conversations.value = [after, ...conversations.value.filter((each) => each.id !== id)];
  void keeping(() => history.save(after));
}

export function addMessage(id: string, message: Message): void {
  change(id, ({ messages, title, leaf }) => ({
    messages: [...messages, message],
    leaf: message.id,
    title: title === "New chat" && leaf === undefined ? titleOf(message.text) : title,
  }));
}

/** Changes a message while it is written; it is kept when it is finished. */
export function updateMessage(id: string, messageId: string, update: Partial<Message>): void {
  const apply = (conversation: Conversation): Conversation => ({
    ...conversation,
    messages: conversation.messages.map((each) => (each.id === messageId ? { ...each, ...update } : each)),
  });
  if (update.info) {
    change(id, apply);
    return;
  }
  if (current.value.id === id) current.value = apply(current.value);
  conversations.value = conversations.value.map((each) => (each.id === id ? apply(each) : each));
}

/** Shows another version of a turn, with what followed it. */
export function showVersion(message: Message): void {
  change(current.value.id, (conversation) => ({ leaf: newestLeaf(conversation, message.id) }));
}

export function changeSettings(settings: Partial<Settings>): void {
  change(current.value.id, (conversation) => ({ settings: { ...conversation.settings, ...settings } }));
}

export function rename(id: string, title: string): void {
  change(id, () => ({ title: title.trim() || "New chat" }));
}

export async function removeConversation(id: string): Promise<void> {
  if (answering.value?.conversation === id) stop();
  conversations.value = conversations.value.filter((each) => each.id !== id);
  if (current.value.id === id) startConversation();
  await keeping(() => history.remove(id));
}

/**
 * Adds conversations from the text of a file, but those that are there already.
 * @returns how many were added
 * @throws Error that says what is wrong
 */
export function importConversations(text: string): number {
  const value = JSON.parse(text) as unknown;
  const here = new Set(conversations.value.map(contentOf));
  const read = (Array.isArray(value) ? value : [value])
    .map(readConversation)
    .filter((each) => !here.has(contentOf(each)));
  for (const conversation of read) {
    conversations.value = [conversation, ...conversations.value];
    void keeping(() => history.save(conversation));
  }
  const [first] = read;
  if (first) current.value = first;
  return read.length;
}

function contentOf({ messages }: Conversation): string {
  return JSON.stringify(messages.map(({ id, parent, role, text }) => [id, parent, role, text]));
}

async function keeping(run: () => Promise<void>): Promise<void> {
  try {
    await run();
    historyProblem.value = undefined;
  } catch {
    historyProblem.value = "This browser does not let the page keep conversations; they last until it is closed.";
  }
}
