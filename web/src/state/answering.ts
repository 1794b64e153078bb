import { computed, signal } from "@preact/signals";
import { branch, type Conversation, type Message } from "../lib/conversation.js";
import { randomId } from "../lib/random.js";
import { hashOf, type SharedAnswer, toFragment } from "../lib/share.js";
import { addMessage, change, current, shown, updateMessage } from "./chats.js";
import { engine, type Origin, origin, pageOptions, setAttention } from "./models.js";
import { answering } from "./writing.js";

/** What a screen reader is told. */
export const spoken = signal("");
/** An answer from a link, and whether it came out the same here. */
export const checked = signal<{ message: string; result: "checking" | "same" | "different" } | undefined>(undefined);

/** Tokens of the context the shown branch took at its last answer. */
export const contextUsed = computed(() => {
  const last = shown.value.filter(({ info }) => info).at(-1)?.info;
  return last ? last.promptTokens + last.tokens : 0;
});

/** Says something and lets the model answer. */
export async function send(text: string): Promise<void> {
  if (answering.value || text.trim() === "" || !engine.value) return;
  const message = newMessage("user", text, current.value.leaf);
  addMessage(current.value.id, message);
  await answer(message.id);
}

/** Another answer to the same question. */
export async function regenerate(message: Message): Promise<void> {
  if (!answering.value && message.parent !== undefined) await answer(message.parent);
}

/** The same question in other words: a branch of its own. */
export async function edit(message: Message, text: string): Promise<void> {
  if (answering.value || text.trim() === "") return;
  const changed = newMessage("user", text, message.parent);
  addMessage(current.value.id, changed);
  await answer(changed.id);
}

/** Goes on with an answer that was stopped or too long. */
export async function goOn(message: Message): Promise<void> {
  if (!answering.value && message.parent !== undefined) await answer(message.parent, { message });
}

/** A link from which anybody gets the same answer, and sees that it is. */
export async function linkTo(message: Message): Promise<string> {
  const { settings, messages } = current.value;
  const before = branch({ messages, leaf: message.parent });
  const shared: SharedAnswer = {
    version: 1,
    model: message.info?.model ?? "",
    source: publicName(origin.value),
    sparsity: engine.value?.kind === "page" ? pageOptions.value.sparsity : undefined,
    select: engine.value?.kind === "page" ? pageOptions.value.select : undefined,
    fingerprint: message.info?.fingerprint,
    settings,
    seed: message.info?.seed ?? 0,
    messages: before.map(({ role, text }) => ({ role, content: text })),
    answer: hashOf(message.text),
  };
  return new URL(toFragment(shared), document.baseURI).href;
}

/** The name others can get the model by; undefined for a file of one's own. */
function publicName(from: Origin | undefined): string | undefined {
  return typeof from?.source === "string" && !from.source.startsWith("file:") ? from.source : undefined;
}

/** Writes the conversation of a link down, computes its answer, and compares. */
export async function openLink(shared: SharedAnswer): Promise<boolean> {
  if (!engine.value) return false;
  const { sparsity, select } = pageOptions.value;
  if (engine.value.kind === "page" && (sparsity !== shared.sparsity || select !== shared.select))
    await setAttention({ sparsity: shared.sparsity, select: shared.select });
  const { id } = current.value;
  change(id, () => ({ settings: { ...shared.settings, seed: shared.seed } }));
  let parent: string | undefined;
  for (const { role, content } of shared.messages) {
    const message = newMessage(role, content, parent);
    addMessage(id, message);
    parent = message.id;
  }
  if (parent === undefined) return false;
  await answer(parent, { expected: shared });
  return true;
}

async function answer(
  parent: string,
  { message: earlier, expected }: { message?: Message; expected?: SharedAnswer } = {},
): Promise<void> {
  const writer = engine.value;
  if (!writer) return;
  const { id, settings } = current.value;
  const seed = settings.seed ?? randomSeed();
  const controller = new AbortController();
  const message = earlier ?? newMessage("assistant", "", parent);
  if (!earlier) addMessage(id, message);
  answering.value = { conversation: id, message: message.id, controller };
  if (expected) checked.value = { message: message.id, result: "checking" };
  spoken.value = "The model is answering.";
  let text = message.text;
  const info = {
    model: writer.model,
    fingerprint: undefined as string | undefined,
    seed,
    tokens: 0,
    tokensPerSecond: 0,
    promptTokens: 0,
    cachedTokens: 0,
    ended: "stopped",
    error: undefined as string | undefined,
    continued: earlier !== undefined,
  };
  const painter = everyFrame(() => updateMessage(id, message.id, { text }));
  try {
    for await (const event of writer.answer(
      turnsBefore(conversationOf(id), parent, earlier),
      { ...settings, seed, conversation: id },
      controller.signal,
    )) {
      if (event.kind === "text") {
        text += event.text;
        painter.wanted();
      } else if (event.kind === "end") {
        const { kind: _, reason, ...figures } = event;
        Object.assign(info, figures, { ended: reason });
      }
    }
  } catch (error) {
    if (!controller.signal.aborted) Object.assign(info, { ended: "error", error: (error as Error).message });
  } finally {
    painter.stop();
    updateMessage(id, message.id, { text, info });
    answering.value = undefined;
    spoken.value = info.ended === "stopped" ? "Stopped." : (info.error ?? text);
    if (expected)
      checked.value = { message: message.id, result: hashOf(text) === expected.answer ? "same" : "different" };
  }
}

function conversationOf(id: string): Conversation {
  if (current.value.id !== id) throw new Error("another conversation");
  return current.value;
}

/** What the model is told: the system prompt, the branch up to the question, and what it has written of its answer. */
function turnsBefore({ settings, messages }: Conversation, parent: string, earlier: Message | undefined) {
  return [
    ...(settings.system.trim() === "" ? [] : [{ role: "system" as const, content: settings.system }]),
    ...branch({ messages, leaf: parent }).map(({ role, text }) => ({ role, content: text })),
    ...(earlier ? [{ role: "assistant" as const, content: earlier.text }] : []),
  ];
}

function newMessage(role: Message["role"], text: string, parent: string | undefined): Message {
  return { id: randomId(), parent, role, text, created: Date.now() };
}

function randomSeed(): number {
  return (crypto.getRandomValues(new Uint32Array(1))[0] as number) >>> 1;
}

/** Runs at most once per frame: tokens may come faster than a screen shows them. */
function everyFrame(run: () => void) {
  let frame = 0;
  return {
    wanted() {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        run();
      });
    },
    stop() {
      cancelAnimationFrame(frame);
    },
  };
}
