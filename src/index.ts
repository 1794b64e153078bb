export * from "./errors.js";
export { filesFolder, type ModelFolder } from "./formats/folder.js";
export type { ByteSource } from "./formats/source.js";
export { loadModel } from "./load.js";
export type * from "./types.js";
