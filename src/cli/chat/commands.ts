/** What a line at the prompt asks for. */
export type Request =
  | { kind: "message"; text: string }
  | { kind: "command"; name: CommandName; argument: string }
  | { kind: "unknown"; name: string };

const commands = {
  help: ["/help", "this list"],
  clear: ["/clear", "begin anew; the system prompt stays"],
  system: ["/system [TEXT]", "show the system prompt, or change it; /system - takes it away"],
  save: ["/save NAME", "keep the chat under this name; it is kept up to date from then on"],
  load: ["/load [NAME]", "go on with a chat that was kept, or list them"],
  regenerate: ["/regenerate", "answer the last message once more"],
  edit: ["/edit [TEXT]", "change the last message and answer it anew"],
  stats: ["/stats", "speed, memory and context"],
  exit: ["/exit", "leave (also Ctrl-D)"],
} as const;

export type CommandName = keyof typeof commands;

/** A line that begins with a slash and a word is a command; two slashes stand for one. */
export function parseRequest(line: string): Request {
  const [, word, argument] = /^\/([a-z]+)(?:\s+([\s\S]*))?$/i.exec(line.trim()) ?? [];
  if (word === undefined) return { kind: "message", text: line.startsWith("//") ? line.slice(1) : line };
  const asked = word.toLowerCase() === "quit" ? "exit" : word.toLowerCase();
  if (!Object.hasOwn(commands, asked)) return { kind: "unknown", name: `/${word}` };
  return { kind: "command", name: asked as CommandName, argument: (argument ?? "").trim() };
}

/** The beginning of a command, completed as far as it is clear. */
export function completeCommand(text: string): string {
  if (!/^\/[a-z]*$/.test(text)) return text;
  const fitting = Object.keys(commands).filter((name) => name.startsWith(text.slice(1)));
  const [first] = fitting;
  if (first === undefined) return text;
  if (fitting.length === 1) return `/${first}${commands[first as CommandName][0].includes(" ") ? " " : ""}`;
  let length = text.length - 1;
  while (fitting.every((name) => name[length] !== undefined && name[length] === first[length])) length++;
  return `/${first.slice(0, length)}`;
}

/** What /help shows. */
export function helpText(): string {
  const rows: (readonly string[])[] = [
    ...Object.values(commands),
    ["Ctrl-J, Alt-Enter", "new line; so does \\ at the end of one"],
    ["Up, Down", "messages sent before"],
    ["Ctrl-C", "stops an answer, clears the line, leaves when it is empty"],
    ["//…", "a message that begins with a slash"],
  ];
  return rows.map(([what = "", says = ""]) => `  ${what.padEnd(17)}  ${says}`).join("\n");
}
