/** An id no other has. Not `crypto.randomUUID`: a page that came without TLS from another machine has none. */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
