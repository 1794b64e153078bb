/**
 * Whether a path of a repository may become one below our own folder: relative, without `..`, empty parts, backslashes,
 * colons (drives and streams of Windows) or control characters. Names come from servers and users alike.
 */
export function safePath(path: string): boolean {
  if (path.length === 0 || path.length > 1024) return false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
  if (/[\\:\x00-\x1f\x7f]/.test(path)) return false;
  return path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !part.endsWith(" "));
}
