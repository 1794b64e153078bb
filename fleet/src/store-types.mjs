// Types only: what the stores in Redis and in PostgreSQL have in common.

/**
 * What a batch is.
 * @typedef {{ queue: string, kind: "requests" | "evaluations", input: string, total: number, cancelled: boolean,
 *   items: [custom_id: string, job: string][] }} Batch
 *
 * What a machine tells of itself: the queues it takes jobs from (of requests, and of evaluations where it does those),
 * jobs done and failed since it began, tokens written, milliseconds of work, bytes it has for the jobs' keys and values, and
 * where others can have its model's file.
 * @typedef {{ queue: string, evaluations?: string, model: string, concurrency: number, done: number, failed: number,
 *   tokens: number, busyMs: number, shards: number, shardMs: number, room: number, address?: string, sha256?: string
 *   }} Report
 *
 * Batches, results and machines, and the queues of BullMQ beside them: in Redis or Valkey, or in PostgreSQL.
 * @typedef {object} Store
 * @property {(name: string) => import("bullmq").Queue} queue
 * @property {(name: string, compute: Function, options: object) => import("bullmq").Worker} worker a worker with
 * connections of its own
 * @property {(job: string, bytes: string, machine: string) => Promise<"kept" | "equal" | "differs" | "out">} keep keeps a
 * job's result if there is none yet. `differs`: there is one of other bytes, and the machine has been put out; `out`: it
 * was out before
 * @property {(jobs: string[]) => Promise<boolean[]>} done for each job whether it has a result
 * @property {(jobs: string[]) => Promise<(string | null)[]>} results for each job its result's bytes
 * @property {(name: string, batch: Batch) => Promise<void>} record a batch that was cancelled is wanted again
 * @property {() => Promise<string[]>} batches by the time they were first recorded
 * @property {(name: string) => Promise<Batch | undefined>} batch
 * @property {(job: string) => Promise<boolean>} wanted by a batch that is not cancelled
 * @property {(name: string) => Promise<string[]>} cancel marks a batch; jobs that nobody wants any more
 * @property {(name: string) => Promise<void>} forget deletes a batch, and results that no other one wants
 * @property {(name: string, report: Report) => Promise<void>} report
 * @property {(name: string) => Promise<void>} leave a machine that ends
 * @property {() => Promise<({ name: string, silentMs: number, reason?: string } & Partial<Report>)[]>} machines that have
 * reported within the last minute, and those put out with the reason
 * @property {(name: string, reason: string) => Promise<void>} putOut
 * @property {(name: string) => Promise<void>} readmit
 * @property {(hash: string, bytes: Buffer) => Promise<void>} putFile
 * @property {(hash: string) => Promise<Buffer | null>} file
 * @property {() => Promise<void>} close
 */

export {};
