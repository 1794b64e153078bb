// Sizes of scratch that TypeScript reserves. Not part of index.ts, which the kernels behind it read.
export { WORK_BYTES, WORK_BYTES_PER_ELEMENT } from "../attention/work";
