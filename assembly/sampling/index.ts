export { add_at_f32, mask_f32, presence_frequency_f32 } from "./adjust";
export { draw_candidate, repetition_penalty_f32 } from "./draw";
export { dry_f32 } from "./dry";
export {
  logprob_f32,
  logprob_given_f32,
  logsumexp_f32,
  sum_exp_f32,
  token_logprobs,
  top_logprobs_f32,
} from "./likelihood";
export { random_f64, random_seed } from "./random";
export { argmax_f32, top_n_f32 } from "./select";
export { typical_f32 } from "./typical";
