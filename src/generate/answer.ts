import type { GenerateOptions } from "../types/generate-options.js";
import type { Piece } from "../types/results.js";
import type { TokenIds } from "../types.js";
import { answerConstraint } from "./answer-constraint.js";
import { toolAnswer } from "./answer-tools.js";
import { type GenerationSetting, generate } from "./generate.js";
import { resolveLimits } from "./options.js";
import { checkFits } from "./prompt.js";
import type { EngineSession, SessionHost } from "./session.js";
import type { TemplateTokenizer } from "./template.js";

/**
 * What `Model.generate`, `Session.generate` and chats have in common: appends `prompt` to the session and generates.
 * @throws SessionError for a prompt that does not fit, OptionError
 */
export async function* answer(
  host: SessionHost,
  tokenizer: TemplateTokenizer,
  session: EngineSession,
  prompt: TokenIds,
  options: GenerateOptions = {},
  setting: GenerationSetting = {},
): AsyncGenerator<Piece, void, undefined> {
  resolveLimits(options);
  checkFits(session.length + prompt.length, host.contextLength, options);
  const history = [...session.ids, ...Array.from(prompt)];
  const calls = await toolAnswer(tokenizer, history, options, setting.begun);
  const constraint = calls?.constraint ?? (await answerConstraint(tokenizer, options, setting.begun));
  const pieces = generate(host, tokenizer, session, prompt, options, { ...setting, constraint });
  yield* calls ? calls.read(pieces) : pieces;
}
