import { json } from "../body.js";
import { messages } from "../chat-request.js";
import { badParameter } from "../errors.js";
import { flag, list, only, readParameters, text, whole } from "../parameters.js";
import type { UsedModel } from "../registry.js";
import { tool } from "../tool-parameters.js";
import type { Call, Endpoint } from "../work.js";

/** `POST /tokenize`: `{ content }` → `{ tokens }` */
export const tokenize: Endpoint = async (call) => {
  const values = readParameters<{
    model: string;
    content: string;
    add_special: boolean;
    parse_special: boolean;
    with_pieces: boolean;
  }>(call.body, { model: text, content: text, add_special: flag, parse_special: flag, with_pieces: flag });
  const { content } = values;
  if (content === undefined)
    throw badParameter("content", "The parameter content is missing", "missing_required_parameter");
  return withModel(call, values.model, ({ model }) => {
    // As in llama-server: special tokens written out in the text are special unless the request says otherwise.
    const tokens = Array.from(
      model.tokenizer.encode(content, {
        special: values.parse_special ?? true,
        addBos: (values.add_special ?? false) && model.tokenizer.addBos,
      }),
    );
    if (!values.with_pieces) return { tokens };
    return { tokens: tokens.map((id) => ({ id, piece: model.tokenizer.decode([id]) })) };
  });
};

/** `POST /detokenize`: `{ tokens }` → `{ content }` */
export const detokenize: Endpoint = async (call) => {
  const values = readParameters<{ model: string; tokens: number[] }>(call.body, {
    model: text,
    tokens: list(whole(0, 2 ** 31 - 1), 1 << 20),
  });
  const { tokens } = values;
  if (tokens === undefined)
    throw badParameter("tokens", "The parameter tokens is missing", "missing_required_parameter");
  return withModel(call, values.model, ({ model }) => {
    const unknown = tokens.findIndex((id) => id >= model.config.vocab);
    if (unknown >= 0)
      throw badParameter(
        `tokens[${unknown}]`,
        `${tokens[unknown]} is not a token id of this model: they go to ${model.config.vocab - 1}`,
      );
    return { content: model.tokenizer.decode(tokens) };
  });
};

/** `POST /apply-template`: `{ messages }` → `{ prompt }` */
export const applyTemplate: Endpoint = async (call) => {
  const values = readParameters(call.body, {
    model: text,
    messages,
    tools: list(tool, 128),
    add_generation_prompt: flag,
    tool_choice: only("auto"),
  });
  const { messages: given, tools } = values;
  if (!given) throw badParameter("messages", "The parameter messages is missing", "missing_required_parameter");
  return withModel(call, values.model, async ({ model }) => ({
    prompt: await model.tokenizer.applyTemplate(given, {
      addGenerationPrompt: values.add_generation_prompt ?? true,
      ...(tools ? { tools } : {}),
    }),
  }));
};

async function withModel(call: Call, name: string | undefined, use: (used: UsedModel) => unknown): Promise<Response> {
  const used = await call.server.registry.use(name, call.signal);
  try {
    call.record.model = used.name;
    return json(await use(used));
  } finally {
    used.release();
  }
}
