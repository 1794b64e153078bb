import { Queue } from "bullmq";
import { Redis } from "ioredis";

const keepResult = `
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then return 'out' end
local known = redis.call('HGET', KEYS[1], 'bytes')
if not known then
  redis.call('HSET', KEYS[1], 'bytes', ARGV[1], 'machine', ARGV[2])
  return 'kept'
end
if known == ARGV[1] then return 'equal' end
local first = redis.call('HGET', KEYS[1], 'machine')
redis.call('HSET', KEYS[2], ARGV[2], 'result ' .. ARGV[3] .. ' differs from that of ' .. first)
return 'differs'`;

/** Batches, results and machines in Redis, and the queues of BullMQ beside them. All keys begin with `prefix`. */
export class Store {
  #queues = new Map();

  /** @param {{ redis?: string, prefix?: string }} options `redis`: address, default redis://127.0.0.1:6379 */
  constructor({ redis = "redis://127.0.0.1:6379", prefix = "deltallm" } = {}) {
    this.prefix = prefix;
    this.redis = new Redis(redis, { maxRetriesPerRequest: null });
    // ioredis connects again by itself; without a listener every failed attempt would be printed.
    this.redis.on("error", () => undefined);
    this.redis.defineCommand("keepResult", { numberOfKeys: 2, lua: keepResult });
  }

  key(...parts) {
    return [this.prefix, "fleet", ...parts].join(":");
  }

  /** The queue of all jobs for models with this fingerprint. */
  queue(fingerprint) {
    let queue = this.#queues.get(fingerprint);
    if (!queue) {
      queue = new Queue(queueName(fingerprint), { connection: this.redis, prefix: this.prefix });
      queue.on("error", () => undefined);
      this.#queues.set(fingerprint, queue);
    }
    return queue;
  }

  /**
   * Keeps a job's result if there is none yet.
   * @returns {Promise<"kept" | "equal" | "differs" | "out">} `differs`: there is one of other bytes, and the machine has
   * been put out; `out`: it was out before
   */
  keep(jobId, bytes, machine) {
    return this.redis.keepResult(this.key("result", jobId), this.key("out"), bytes, machine, jobId);
  }

  /** For each job whether it has a result. */
  async done(jobIds) {
    return (await this.#pipelined(jobIds, (pipe, id) => pipe.exists(this.key("result", id)))).map(Boolean);
  }

  /** For each job its result's bytes, or null. */
  results(jobIds) {
    return this.#pipelined(jobIds, (pipe, id) => pipe.hget(this.key("result", id), "bytes"));
  }

  async #pipelined(ids, add) {
    const values = [];
    for (let at = 0; at < ids.length; at += 500) {
      const pipe = this.redis.pipeline();
      for (const id of ids.slice(at, at + 500)) add(pipe, id);
      for (const [error, value] of await pipe.exec()) {
        if (error) throw error;
        values.push(value);
      }
    }
    return values;
  }

  async close() {
    for (const queue of this.#queues.values()) await queue.close();
    this.redis.disconnect();
  }
}

export const queueName = (fingerprint) => `jobs-${fingerprint}`;
