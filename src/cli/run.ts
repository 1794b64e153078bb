import { type Command, CommanderError } from "commander";
import { DeltaLLMError, FormatError, OptionError, SourceError, TokenizerError, UnsupportedError } from "../errors.js";
import { printable } from "./format.js";
import type { Host } from "./host.js";
import { inFlags } from "./options.js";
import { createProgram } from "./program.js";
import { Interrupted, OutputClosed, Terminal } from "./terminal.js";

/** What the process returns. 1 is kept for `verify`, so that scripts can tell "different" from "failed". */
export const ExitCode = { ok: 0, different: 1, input: 2, failed: 3, interrupted: 130 } as const;

/** Errors of what the user gave us, as opposed to what happened while running. */
const inputErrors = [OptionError, SourceError, FormatError, UnsupportedError, TokenizerError];

/**
 * Runs one command line and returns its exit code. Never throws and never ends the process.
 * @param args without the names of the runtime and the script
 */
export async function runCommandLine(args: readonly string[], host: Host): Promise<number> {
  const terminal = new Terminal(host);
  let code: number = ExitCode.ok;
  const program = createProgram(terminal, (other) => {
    code = other;
  });
  quiet(program, host);
  try {
    await program.parseAsync(helpForAll(program, args), { from: "user" });
  } catch (error) {
    code = await report(terminal, error, args);
  } finally {
    terminal.close();
  }
  return code;
}

/** `--help-all` is `--help` with the options that few need. */
function helpForAll(program: Command, args: readonly string[]): string[] {
  const end = args.indexOf("--");
  const at = args.indexOf("--help-all");
  if (at < 0 || (end >= 0 && end < at)) return [...args];
  for (const command of program.commands) for (const option of command.options) option.hidden = false;
  return args.map((arg, i) => (i === at ? "--help" : arg));
}

/** Commander shall neither exit nor write past the host, in no command and none of its parts. */
function quiet(command: Command, host: Host): void {
  const { stdout, stderr } = host;
  for (const part of command.commands) quiet(part, host);
  command.exitOverride();
  command.configureOutput({
    writeOut: (text) => stdout.write(text),
    writeErr: (text) => stderr.write(text),
    // The same beginning as all other messages.
    outputError: (text, write) => write(text.replace(/^error: /, "deltallm: ")),
    getOutHasColors: () => false,
    getErrHasColors: () => false,
    getOutHelpWidth: () => stdout.columns ?? 100,
    getErrHelpWidth: () => stderr.columns ?? 100,
  });
}

async function report(terminal: Terminal, error: unknown, args: readonly string[]): Promise<number> {
  if (error instanceof OutputClosed) return ExitCode.ok;
  if (error instanceof Interrupted) return ExitCode.interrupted;
  // Commander has printed its message already; help asked for is no error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.input;
  const { DEBUG } = terminal.host.env;
  const wantsStack = args.includes("--verbose") || (DEBUG !== undefined && DEBUG !== "" && DEBUG !== "0");
  const ours = error instanceof DeltaLLMError;
  const message = ours
    ? inFlags(error.message)
    : error instanceof Error
      ? `${error.name}: ${error.message}`
      : String(error);
  const stack = error instanceof Error && wantsStack ? stackOf(error) : undefined;
  await terminal.note(printable(`deltallm: ${stack ?? message}`)).catch(() => undefined);
  return inputErrors.some((type) => error instanceof type) ? ExitCode.input : ExitCode.failed;
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : "";
  return `${error.stack ?? error.message}${cause}`;
}
