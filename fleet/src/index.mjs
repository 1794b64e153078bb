export {
  batchStatus,
  cancelBatch,
  collect,
  deadLetters,
  forgetBatch,
  listBatches,
  machines,
  retryBatch,
} from "./batches.mjs";
export { enqueue } from "./enqueue.mjs";
export { FleetError, jobOf, readBatchFile } from "./requests.mjs";
export { Store } from "./store.mjs";
export { startWorker } from "./worker.mjs";
