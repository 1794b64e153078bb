export {
  batchStatus,
  cancelBatch,
  deadLetters,
  forgetBatch,
  listBatches,
  machines,
  retryBatch,
} from "./batches.mjs";
export { collect } from "./collect.mjs";
export { enqueue, enqueueEvaluation } from "./enqueue.mjs";
export { FleetError, jobOf, readBatchFile } from "./requests.mjs";
export { openStore } from "./store.mjs";
export { startWorker } from "./worker.mjs";
