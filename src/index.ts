export * from "./errors.js";
export type { ByteSource } from "./formats/source.js";
export { loadModel } from "./load.js";
export type * from "./types.js";
