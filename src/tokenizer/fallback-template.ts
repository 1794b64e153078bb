import type { TokenizerData } from "../formats/model-file.js";
import { SpecialTokens } from "./special-tokens.js";

/** ChatML, the commonest form. */
const chatml =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
const llama3 =
  "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";
const plain =
  "{% for message in messages %}{{ message['role'] | capitalize + ': ' + message['content'] | trim + '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}";

/**
 * What to use for a model without a template: ChatML or Llama 3's form when the vocabulary has their tokens, otherwise
 * lines `Role: content`. `note` tells a user so.
 */
export function fallbackTemplate(data: TokenizerData): { template: string; note: string } {
  const special = new SpecialTokens(data);
  const has = (...texts: string[]) => texts.every((text) => special.idOf(text) !== undefined);
  const [template, name] = has("<|im_start|>", "<|im_end|>")
    ? [chatml, "ChatML"]
    : has("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
      ? [llama3, "Llama 3's form"]
      : [plain, 'lines "Role: content"'];
  return { template, note: `The model has no chat template; ${name} is used instead` };
}
