export * from "./errors.js";
export { modelFingerprint } from "./formats/fingerprint.js";
export { filesFolder, type ModelFolder } from "./formats/folder.js";
export type { ByteSource } from "./formats/source.js";
export type { ListedFile } from "./hub/contents.js";
export {
  keepModel,
  listModels,
  type PulledModel,
  type PullModelOptions,
  pullModel,
  removeModel,
} from "./hub/library.js";
export type { PulledFile, PullProgress } from "./hub/pull.js";
export { loadModel } from "./load.js";
export type * from "./types.js";
