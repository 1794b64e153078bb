import { SessionError } from "../errors.js";

const ID_LETTERS = 16;

/** What a saved session says beside its keys and values: the model's id (16 letters), then u32 token ids. */
export function sessionNote(model: string, ids: readonly number[]): Uint8Array {
  const note = new Uint8Array(ID_LETTERS + ids.length * 4);
  note.set(new TextEncoder().encode(model.padEnd(ID_LETTERS).slice(0, ID_LETTERS)));
  const view = new DataView(note.buffer);
  ids.forEach((id, i) => {
    view.setUint32(ID_LETTERS + i * 4, id, true);
  });
  return note;
}

/** The token ids of a note. @throws SessionError when it is of another model, or does not fit `length` keys */
export function readSessionNote(note: Uint8Array, model: string, length: number, vocab: number): number[] {
  const written = new TextDecoder().decode(note.subarray(0, ID_LETTERS)).trim();
  if (written !== model)
    throw new SessionError(
      "The saved session cannot be restored: it is of another model",
      {},
      "Load the model it was saved with",
    );
  const view = new DataView(note.buffer, note.byteOffset, note.byteLength);
  const ids = Array.from({ length: (note.length - ID_LETTERS) / 4 }, (_, i) =>
    view.getUint32(ID_LETTERS + i * 4, true),
  );
  if (ids.length !== length || ids.some((id) => id >= vocab))
    throw new SessionError("The saved session is damaged: its tokens do not fit its cache", {}, "Save it again");
  return ids;
}
