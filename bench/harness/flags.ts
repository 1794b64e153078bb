import { type ParseArgsConfig, parseArgs } from "node:util";

interface Flag {
  type: "string" | "boolean";
  multiple?: boolean;
  default?: string | boolean | string[];
  /** For --help; a name in capitals at its beginning is that of the value. */
  says: string;
}

type Flags = Record<string, Flag>;
type Parsed<Own extends Flags> = ReturnType<typeof parseArgs<{ options: Own; allowPositionals: true }>>;

/**
 * The flags of a script and what else was given. Prints the help and ends with 0 for `--help`, the mistake and ends with 2
 * for what cannot be read.
 * @param usage one line
 */
export function readFlags<const Own extends Flags>(usage: string, flags: Own): Parsed<Own> {
  const options = { ...flags, help: { type: "boolean", short: "h" } } as ParseArgsConfig["options"];
  try {
    const parsed = parseArgs({ options, allowPositionals: true } as ParseArgsConfig);
    if (parsed.values.help) {
      console.log(helpOf(usage, flags));
      process.exit(0);
    }
    if (!usage.includes("…") && parsed.positionals.length > 0)
      throw new TypeError(`"${parsed.positionals[0]}" is not understood`);
    return parsed as Parsed<Own>;
  } catch (error) {
    console.error(`${(error as Error).message.split(". ")[0]}. --help shows what there is`);
    process.exit(2);
  }
}

/** A whole number above 0. */
export function wholeFlag(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  console.error(`--${name} ${text}: a whole number above 0 is wanted`);
  process.exit(2);
}

function helpOf(usage: string, flags: Flags): string {
  const lines = Object.entries(flags).map(([name, { says }]) => {
    const [, value = "", text = ""] = /^([A-Z]+(?= ))?\s*(.*)$/.exec(says) ?? [];
    return [`  --${name} ${value}`, text] as const;
  });
  const width = Math.max(...lines.map(([left]) => left.length)) + 2;
  return [`Usage: ${usage}`, "", ...lines.map(([left, text]) => left.padEnd(width) + text)].join("\n");
}
