import { Queue, Worker } from "bullmq";
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
const MINUTE = 60_000;
const CHUNK = 500;

/** @returns {import("./store-types.mjs").Store} */
export function openRedis(address = "redis://127.0.0.1:6379", prefix = "deltallm") {
  const connect = () => {
    const redis = new Redis(address, { maxRetriesPerRequest: null });
    // ioredis connects again by itself; without a listener every failed attempt would be printed.
    redis.on("error", () => undefined);
    return redis;
  };
  const redis = connect();
  redis.defineCommand("keepResult", { numberOfKeys: 2, lua: keepResult });
  const key = (...parts) => [prefix, "fleet", ...parts].join(":");
  const [outKey, machinesKey, batchesKey] = [key("out"), key("machines"), key("batches")];
  const itemsKey = (batch) => key("batch", batch, "items");
  const wantedKey = (job) => key("job", job, "batches");
  const queues = new Map();
  const connections = [redis];

  const run = async (transaction) => {
    const answers = await transaction.exec();
    for (const [error] of answers) if (error) throw error;
    return answers.map(([, value]) => value);
  };
  const pipelined = async (ids, add) => {
    const values = [];
    for (let at = 0; at < ids.length; at += CHUNK) {
      const pipe = redis.pipeline();
      for (const id of ids.slice(at, at + CHUNK)) add(pipe, id);
      values.push(...(await run(pipe)));
    }
    return values;
  };

  const store = {
    queue(name) {
      if (!queues.has(name)) {
        const queue = new Queue(name, { connection: redis, prefix });
        queue.on("error", () => undefined);
        queues.set(name, queue);
      }
      return queues.get(name);
    },
    worker(name, compute, options) {
      const connection = connect();
      connections.push(connection);
      return new Worker(name, compute, { ...options, connection, prefix });
    },
    keep: (job, bytes, machine) => redis.keepResult(key("result", job), outKey, bytes, machine, job),
    done: async (jobs) => (await pipelined(jobs, (pipe, job) => pipe.exists(key("result", job)))).map(Boolean),
    results: (jobs) => pipelined(jobs, (pipe, job) => pipe.hget(key("result", job), "bytes")),

    async record(name, { items, cancelled, ...about }) {
      const write = redis.multi().del(itemsKey(name));
      for (let at = 0; at < items.length; at += CHUNK)
        write.rpush(itemsKey(name), ...items.slice(at, at + CHUNK).map((item) => JSON.stringify(item)));
      for (const [, job] of items) write.sadd(wantedKey(job), name);
      write.hset(key("batch", name), { ...about, cancelled: Number(cancelled) });
      write.zadd(batchesKey, "NX", Date.now(), name);
      await run(write);
    },
    batches: () => redis.zrange(batchesKey, 0, -1),
    async batch(name) {
      const { total, cancelled, ...about } = await redis.hgetall(key("batch", name));
      if (about.queue === undefined) return undefined;
      const items = (await redis.lrange(itemsKey(name), 0, -1)).map((text) => JSON.parse(text));
      return { ...about, total: Number(total), cancelled: cancelled === "1", items };
    },
    wanted: async (job) => (await redis.exists(wantedKey(job))) > 0,
    async cancel(name) {
      const { items } = await store.batch(name);
      const jobs = [...new Set(items.map(([, job]) => job))];
      await redis.hset(key("batch", name), "cancelled", 1);
      await pipelined(jobs, (pipe, job) => pipe.srem(wantedKey(job), name));
      const left = await pipelined(jobs, (pipe, job) => pipe.exists(wantedKey(job)));
      return jobs.filter((_, index) => !left[index]);
    },
    async forget(name) {
      const unwanted = await store.cancel(name);
      await pipelined(unwanted, (pipe, job) => pipe.del(key("result", job)));
      await redis.del(key("batch", name), itemsKey(name));
      await redis.zrem(batchesKey, name);
    },

    async report(name, report) {
      await run(redis.multi().set(key("machine", name), JSON.stringify(report), "PX", MINUTE).sadd(machinesKey, name));
    },
    leave: async (name) => void (await run(redis.multi().del(key("machine", name)).srem(machinesKey, name))),
    async machines() {
      const out = await redis.hgetall(outKey);
      const names = [...new Set([...(await redis.smembers(machinesKey)), ...Object.keys(out)])].sort();
      const reports = await pipelined(names, (pipe, name) => pipe.get(key("machine", name)));
      const left = await pipelined(names, (pipe, name) => pipe.pttl(key("machine", name)));
      const gone = names.filter((name, index) => reports[index] === null && out[name] === undefined);
      if (gone.length) await redis.srem(machinesKey, ...gone);
      return names
        .map((name, index) => {
          const silentMs = left[index] < 0 ? MINUTE : MINUTE - left[index];
          return { ...JSON.parse(reports[index] ?? "{}"), name, silentMs, reason: out[name] };
        })
        .filter(({ name }) => !gone.includes(name));
    },
    putOut: async (name, reason) => void (await redis.hset(outKey, name, reason)),
    readmit: async (name) => void (await redis.hdel(outKey, name)),

    putFile: async (hash, bytes) => void (await redis.set(key("file", hash), bytes)),
    file: (hash) => redis.getBuffer(key("file", hash)),

    async close() {
      for (const queue of queues.values()) await queue.close();
      for (const connection of connections) connection.disconnect();
    },
  };
  return store;
}
