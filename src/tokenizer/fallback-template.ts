import type { TokenizerData } from "../formats/model-file.js";
import { SpecialTokens } from "./special-tokens.js";

/** ChatML, the commonest form. */
const chatml =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
const llama3 =
  "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";
// Gemma has no system messages: they go in front of the first of the user's.
const gemma =
  "{{ bos_token }}{% set ns = namespace(system='') %}{% for message in messages %}{% if message['role'] == 'system' %}{% set ns.system = ns.system + message['content'] + '\n\n' %}{% else %}" +
  "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' + (ns.system if message['role'] == 'user' else '') + message['content'] | trim + '<end_of_turn>\n' }}{% if message['role'] == 'user' %}{% set ns.system = '' %}{% endif %}{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}";
const granite =
  "{% for message in messages %}{{ '<|start_of_role|>' + message['role'] + '<|end_of_role|>' + message['content'] + '<|end_of_text|>\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}";
const phi =
  "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}";
const plain =
  "{% for message in messages %}{{ message['role'] | capitalize + ': ' + message['content'] | trim + '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}";

/** Forms by the tokens a vocabulary must have for them. */
const forms: readonly { tokens: string[]; template: string; name: string }[] = [
  { tokens: ["<|im_start|>", "<|im_end|>"], template: chatml, name: "ChatML" },
  {
    tokens: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    template: llama3,
    name: "Llama 3's form",
  },
  { tokens: ["<start_of_turn>", "<end_of_turn>"], template: gemma, name: "Gemma's form" },
  { tokens: ["<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"], template: granite, name: "Granite's form" },
  { tokens: ["<|user|>", "<|end|>", "<|assistant|>"], template: phi, name: "Phi's form" },
  { tokens: [], template: plain, name: 'lines "Role: content"' },
];

/**
 * What to use for a model without a template: the form whose tokens the vocabulary has, otherwise lines `Role: content`.
 * `note` tells a user so.
 */
export function fallbackTemplate(data: TokenizerData): { template: string; note: string } {
  const special = new SpecialTokens(data);
  const has = (text: string) => special.idOf(text) !== undefined;
  const { template, name } = forms.find(({ tokens }) => tokens.every(has)) as (typeof forms)[number];
  return { template, note: `The model has no chat template; ${name} is used instead` };
}
