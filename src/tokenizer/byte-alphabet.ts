/**
 * GPT-2's byte alphabet: every byte written as one printable character, so that a vocabulary of byte strings can be kept
 * as text. Printable bytes stand for themselves, the other 68 for U+0100 … U+0143 in increasing order.
 * Source: openai/gpt-2 `encoder.py`, `bytes_to_unicode`.
 */
const characterOfByte = new Uint16Array(256);
const byteOfCharacter = new Int16Array(0x144).fill(-1);
for (let byte = 0, next = 0x100; byte < 256; byte++) {
  const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
  const character = printable ? byte : next++;
  characterOfByte[byte] = character;
  byteOfCharacter[character] = byte;
}

const encoder = new TextEncoder();

/** The character that stands for a byte. */
export function alphabetCharacter(byte: number): string {
  return String.fromCharCode(characterOfByte[byte]!);
}

/** UTF-8 of a text, written in the alphabet. */
export function toAlphabet(text: string): string {
  const bytes = encoder.encode(text);
  const codes = new Uint16Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) codes[i] = characterOfByte[bytes[i]!]!;
  let out = "";
  for (let i = 0; i < codes.length; i += 8192) out += String.fromCharCode(...codes.subarray(i, i + 8192));
  return out;
}

/** Bytes of a text written in the alphabet; undefined when a character is not of the alphabet. */
export function fromAlphabet(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const byte = byteOfCharacter[text.charCodeAt(i)] ?? -1;
    if (byte < 0) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}
