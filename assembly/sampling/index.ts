export { draw_candidate, repetition_penalty_f32 } from "./draw";
export { logprob_f32, logsumexp_f32, sum_exp_f32, token_logprobs } from "./likelihood";
export { random_f64, random_seed } from "./random";
export { argmax_f32, top_n_f32 } from "./select";
