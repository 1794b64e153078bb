export { exp_f32 } from "./elementwise";
