export { exp_f32, relu2_gate, silu_gate } from "./elementwise";
export { rms_norm } from "./rms-norm";
export { barrier } from "./barrier";
export { dot_probe } from "./probe";
