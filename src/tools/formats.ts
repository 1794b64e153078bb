/**
 * How a family of models writes calls of tools. `json`: objects with a name and arguments; `python`: calls with keyword
 * arguments.
 */
export interface ToolFormat {
  readonly name: "hermes" | "llama3" | "granite" | "mistral" | "lfm2" | "fenced";
  readonly calls: "json" | "python";
  /** What calls begin with; empty where they are the whole answer. */
  readonly open: string;
  /** What stands around one call, or around all of them with `list`. */
  readonly close: string;
  /** Calls stand in one list in brackets. */
  readonly list: boolean;
  /** What stands between calls that are not in a list: white space, and this. */
  readonly between: string;
  /** Name of the field with the arguments. */
  readonly argumentsKey: "arguments" | "parameters";
  /** Texts after which a reader takes what follows for a call: plain text must not contain them. */
  readonly reserved: readonly string[];
}

const json = { calls: "json", list: false, between: "", argumentsKey: "arguments" } as const;

/** `<tool_call>{"name": …, "arguments": …}</tool_call>`: Hermes, Qwen 2.5 and 3, SmolLM3, Granite 4. */
export const hermes: ToolFormat = {
  ...json,
  name: "hermes",
  open: "<tool_call>",
  close: "</tool_call>",
  reserved: ["<tool_call>"],
};

/** `{"name": …, "parameters": …}` and nothing else: Llama 3.1 and later. */
export const llama3: ToolFormat = {
  ...json,
  name: "llama3",
  open: "",
  close: "",
  between: ";",
  argumentsKey: "parameters",
  reserved: ["<|python_tag|>"],
};

/** `<|tool_call|>[{"name": …, "arguments": …}, …]`: Granite 3. */
export const granite: ToolFormat = {
  ...json,
  name: "granite",
  open: "<|tool_call|>",
  close: "",
  list: true,
  reserved: ["<|tool_call|>", "<tool_call>"],
};

/** `[TOOL_CALLS][{"name": …, "arguments": …}, …]`: Mistral and Ministral, up to the templates with `[ARGS]`. */
export const mistral: ToolFormat = {
  ...json,
  name: "mistral",
  open: "[TOOL_CALLS]",
  close: "",
  list: true,
  reserved: ["[TOOL_CALLS]"],
};

/** `<|tool_call_start|>[name(key="value", …), …]<|tool_call_end|>`: LFM2. */
export const lfm2: ToolFormat = {
  name: "lfm2",
  calls: "python",
  open: "<|tool_call_start|>",
  close: "<|tool_call_end|>",
  list: true,
  between: "",
  argumentsKey: "arguments",
  reserved: ["<|tool_call_start|>", "<|tool_call_end|>"],
};

/** A block between fences, told to the model in the prompt: Gemma, and all whose templates know no tools. */
export const fenced: ToolFormat = {
  ...json,
  name: "fenced",
  open: "```tool_call\n",
  close: "\n```",
  reserved: ["```tool_call"],
};

/** The format of the models a chat template was written for. */
export function toolFormatOf(template: string | undefined): ToolFormat {
  if (!template || !/\b(xml_)?tools\b/.test(template)) return fenced;
  if (/<\|tool_(call|list)_start\|>/.test(template)) return lfm2;
  if (template.includes("<tool_call>")) return hermes;
  if (/<\|tool_call\|>|start_of_role/.test(template)) return granite;
  if (template.includes("[TOOL_CALLS]") && !template.includes("[ARGS]")) return mistral;
  if (/python_tag|ipython|"parameters":/.test(template)) return llama3;
  return fenced;
}
