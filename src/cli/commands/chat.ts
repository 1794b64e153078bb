import { createInterface } from "node:readline/promises";
import { resolveLimits } from "../../generate/options.js";
import { resolveSampling } from "../../generate/sampling-options.js";
import { writeAnswer } from "../chat/answer.js";
import { InteractiveChat } from "../chat/interactive.js";
import { readChatFile } from "../chat/state.js";
import { constraintOptions } from "../constraint.js";
import { formatStats } from "../format.js";
import { loadOptions, withModel } from "../model.js";
import { generateOptions, type SamplingFlags } from "../options.js";
import type { Terminal } from "../terminal.js";

/** What `chat` is told besides the options all commands share. */
export interface ChatFlags extends SamplingFlags {
  system?: string;
  /** Name of a chat to go on with. */
  resume?: string;
  history?: boolean;
}

/** `chat`: a conversation in the terminal, or one message per line of stdin. */
export async function chat(terminal: Terminal, flags: ChatFlags): Promise<void> {
  const options = { ...generateOptions(flags), ...(await constraintOptions(terminal, flags)) };
  resolveLimits(options);
  // One seed for the whole conversation, so that --stats can name it.
  const { seed } = resolveSampling(options);
  const saved = flags.resume === undefined ? undefined : await readChatFile(terminal.host.env, flags.resume);
  let shifted = false;
  const generate = {
    ...options,
    seed,
    onContextShift({ note }: { note: string }) {
      if (!shifted) void terminal.note(note);
      shifted = true;
    },
  };
  await withModel(terminal, flags.model, await loadOptions(terminal, flags), async (model) => {
    const conversation = model.createChat({ system: flags.system });
    if (saved) {
      await conversation.restore(saved);
      if (flags.system !== undefined) await conversation.setSystem(flags.system);
    }
    const { stdin, stdout, env } = terminal.host;
    const interactive = stdin.isTTY === true && stdout.isTTY === true && env.TERM !== "dumb" && !flags.json;
    try {
      if (flags.model === "embedded")
        await terminal.note(
          "This is the story model in the package: it tells children's stories and follows no instructions. " +
            "-m names a model to talk to, for example: deltallm chat -m smollm2-135m",
        );
      if (interactive) {
        const system = conversation.messages?.find(({ role }) => role === "system")?.content ?? undefined;
        const name = flags.resume;
        await new InteractiveChat(terminal, model, conversation, {
          generate,
          system,
          name,
          history: flags.history !== false && env.DELTALLM_HISTORY !== "0",
        }).run();
      } else
        for await (const message of linesOfInput(terminal))
          if (message.trim() !== "")
            await writeAnswer(terminal, model, (more) => conversation.send(message, more), generate, {
              json: flags.json,
              heads: flags.stats,
            });
    } finally {
      await conversation.dispose();
      if (flags.stats) await terminal.note(formatStats(model.stats(), [["seed", String(seed)]]));
    }
  });
}

async function* linesOfInput(terminal: Terminal): AsyncGenerator<string> {
  const reader = createInterface({ input: terminal.host.stdin, crlfDelay: Number.POSITIVE_INFINITY });
  try {
    yield* reader;
  } finally {
    reader.close();
  }
}
