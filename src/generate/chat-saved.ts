import { SessionError } from "../errors.js";
import { checksum } from "../kv/checksum.js";
import type { ChatMessage } from "../types/messages.js";
import { Conversation } from "./conversation.js";
import { checkMessages } from "./prompt.js";

const MAGIC = "DLTLCHAT";
const VERSION = 1;
/** Magic, version, two words of checksum over all that follows, length of the JSON. */
const HEADER = 8 + 4 + 8 + 4;

/** A conversation, and the session's bytes where they are saved too. */
export function saveChat(conversation: Conversation, session: Uint8Array): Uint8Array {
  const { messages, dropped, text, tokens, cuts } = conversation;
  const json = new TextEncoder().encode(JSON.stringify({ messages, dropped, text, tokens, cuts }));
  const bytes = new Uint8Array(HEADER + json.length + session.length);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  view.setUint32(8, VERSION, true);
  view.setUint32(20, json.length, true);
  bytes.set(json, HEADER);
  bytes.set(session, HEADER + json.length);
  checksum(bytes.subarray(20)).forEach((word, i) => {
    view.setUint32(12 + i * 4, word, true);
  });
  return bytes;
}

/** @throws SessionError when the bytes are damaged or are no saved chat */
export function readChat(
  bytes: Uint8Array,
  vocab: number,
): { conversation: Conversation; session: Uint8Array | undefined } {
  const damaged = (why: string) => new SessionError(`The saved chat cannot be restored: ${why}`, {}, "Save it again");
  if (!(bytes instanceof Uint8Array))
    throw new SessionError("A saved chat is a Uint8Array", {}, "Give what `chat.save()` returned");
  const magic = new TextDecoder().decode(bytes.subarray(0, 8));
  if (bytes.length < HEADER || magic !== MAGIC) throw damaged("these are not the bytes of a chat");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(8, true) !== VERSION) throw damaged("it was saved by another version of this package");
  if (checksum(bytes.subarray(20)).some((word, i) => view.getUint32(12 + i * 4, true) !== word))
    throw damaged("it is damaged");
  const end = HEADER + view.getUint32(20, true);
  if (end > bytes.length) throw damaged("it ends early");
  const conversation = new Conversation();
  try {
    const { messages, dropped, text, tokens, cuts } = JSON.parse(new TextDecoder().decode(bytes.subarray(HEADER, end)));
    if (
      !Array.isArray(messages) ||
      !Array.isArray(cuts) ||
      typeof text !== "string" ||
      !Number.isInteger(dropped) ||
      !isTokens(tokens, vocab)
    )
      throw new Error("parts are missing");
    checkMessages(messages as ChatMessage[]);
    Object.assign(conversation, { messages, dropped, text, tokens, cuts });
  } catch {
    throw damaged("its messages cannot be read");
  }
  return { conversation, session: end < bytes.length ? bytes.subarray(end) : undefined };
}

function isTokens(tokens: unknown, vocab: number): tokens is number[] {
  return Array.isArray(tokens) && tokens.every((id) => Number.isInteger(id) && id >= 0 && id < vocab);
}
