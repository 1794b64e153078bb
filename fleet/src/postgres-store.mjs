import { createPostgresBackend, Queue, runMigrations, Worker } from "bullmq";
import pg from "pg";

/** Connections of one queue or worker; one more listens for jobs. */
const CONNECTIONS = 3;

/** The schema's own tables; BullMQ's are in the schema beside it. */
const tables = `
CREATE TABLE IF NOT EXISTS batch (
  name text PRIMARY KEY, about jsonb NOT NULL, cancelled boolean NOT NULL, began timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS item (
  batch text NOT NULL REFERENCES batch ON DELETE CASCADE, place integer NOT NULL, custom_id text NOT NULL,
  job text NOT NULL, PRIMARY KEY (batch, place));
CREATE INDEX IF NOT EXISTS item_job ON item (job);
CREATE TABLE IF NOT EXISTS result (job text PRIMARY KEY, bytes text NOT NULL, machine text NOT NULL);
CREATE TABLE IF NOT EXISTS machine (name text PRIMARY KEY, report jsonb NOT NULL, seen timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS put_out (name text PRIMARY KEY, reason text NOT NULL);
CREATE TABLE IF NOT EXISTS file (hash text PRIMARY KEY, bytes bytea NOT NULL);
`;
const unwantedOf = `SELECT DISTINCT mine.job FROM item mine WHERE mine.batch = $1 AND NOT EXISTS (
  SELECT 1 FROM item JOIN batch ON batch.name = item.batch
  WHERE item.job = mine.job AND NOT batch.cancelled AND batch.name <> $1)`;

/**
 * Opens the store, and makes what it needs in the database: the schemas `<prefix>` and `<prefix>_queue`.
 * @returns {Promise<import("./store-types.mjs").Store>}
 */
export async function openPostgres(connectionString, prefix = "deltallm") {
  const schema = `${prefix}_queue`;
  const pool = new pg.Pool({ connectionString, max: CONNECTIONS, options: `-c search_path="${prefix}"` });
  // A connection that breaks is replaced at the next query.
  pool.on("error", () => undefined);
  const connection = { connectionString, schema, max: CONNECTIONS };
  await prepare(pool, prefix, schema);
  const queues = new Map();
  const rows = async (text, values) => (await patiently(() => pool.query(text, values))).rows;
  const inTransaction = (work) =>
    patiently(async () => {
      const client = await pool.connect();
      try {
        await client.query("BEGIN");
        const result = await work(client);
        await client.query("COMMIT");
        client.release();
        return result;
      } catch (error) {
        await client.query("ROLLBACK").catch(() => undefined);
        client.release(error);
        throw error;
      }
    });

  return {
    queue(name) {
      if (!queues.has(name)) {
        const queue = new Queue(name, { connection }, createPostgresBackend);
        queue.on("error", () => undefined);
        queues.set(name, queue);
      }
      return queues.get(name);
    },
    worker: (name, compute, options) => new Worker(name, compute, { ...options, connection }, createPostgresBackend),
    keep: (job, bytes, machine) =>
      inTransaction(async (client) => {
        const ask = async (text, values) => (await client.query(text, values)).rows;
        if ((await ask("SELECT 1 FROM put_out WHERE name = $1", [machine])).length) return "out";
        const insert = "INSERT INTO result VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING job";
        if ((await ask(insert, [job, bytes, machine])).length) return "kept";
        const [known] = await ask("SELECT bytes, machine FROM result WHERE job = $1", [job]);
        if (known.bytes === bytes) return "equal";
        const reason = `result ${job} differs from that of ${known.machine}`;
        await ask("INSERT INTO put_out VALUES ($1, $2) ON CONFLICT DO NOTHING", [machine, reason]);
        return "differs";
      }),
    async done(jobs) {
      const known = new Set((await rows("SELECT job FROM result WHERE job = ANY($1)", [jobs])).map(({ job }) => job));
      return jobs.map((job) => known.has(job));
    },
    async results(jobs) {
      const found = await rows("SELECT job, bytes FROM result WHERE job = ANY($1)", [jobs]);
      const known = new Map(found.map(({ job, bytes }) => [job, bytes]));
      return jobs.map((job) => known.get(job) ?? null);
    },

    record: (name, { items, cancelled, ...about }) =>
      inTransaction(async (client) => {
        await client.query(
          "INSERT INTO batch VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET about = $2, cancelled = $3",
          [name, about, cancelled],
        );
        await client.query("DELETE FROM item WHERE batch = $1", [name]);
        const columns = [items.map((_, place) => place), items.map(([id]) => id), items.map(([, job]) => job)];
        await client.query("INSERT INTO item SELECT $1, * FROM unnest($2::int[], $3::text[], $4::text[])", [
          name,
          ...columns,
        ]);
      }),
    batches: async () => (await rows("SELECT name FROM batch ORDER BY began, name")).map(({ name }) => name),
    async batch(name) {
      const [found] = await rows("SELECT about, cancelled FROM batch WHERE name = $1", [name]);
      if (!found) return undefined;
      const items = await rows("SELECT custom_id, job FROM item WHERE batch = $1 ORDER BY place", [name]);
      return { ...found.about, cancelled: found.cancelled, items: items.map(({ custom_id, job }) => [custom_id, job]) };
    },
    wanted: async (job) =>
      (
        await rows(
          "SELECT 1 FROM item JOIN batch ON batch.name = item.batch WHERE job = $1 AND NOT cancelled LIMIT 1",
          [job],
        )
      ).length > 0,
    async cancel(name) {
      await rows("UPDATE batch SET cancelled = true WHERE name = $1", [name]);
      return (await rows(unwantedOf, [name])).map(({ job }) => job);
    },
    forget: (name) =>
      inTransaction(async (client) => {
        await client.query(`DELETE FROM result WHERE job IN (${unwantedOf})`, [name]);
        await client.query("DELETE FROM batch WHERE name = $1", [name]);
      }),

    async report(name, report) {
      const text =
        "INSERT INTO machine VALUES ($1, $2, now()) ON CONFLICT (name) DO UPDATE SET report = $2, seen = now()";
      await rows(text, [name, report]);
    },
    leave: async (name) => void (await rows("DELETE FROM machine WHERE name = $1", [name])),
    async machines() {
      await rows("DELETE FROM machine WHERE seen < now() - interval '1 minute'");
      const silent = "coalesce(extract(epoch FROM now() - seen) * 1000, 60000)::float AS silent";
      const found = await rows(
        `SELECT name, report, ${silent}, reason FROM machine FULL JOIN put_out USING (name) ORDER BY name COLLATE "C"`,
      );
      return found.map(({ name, report, silent, reason }) => ({
        ...report,
        name,
        silentMs: silent,
        reason: reason ?? undefined,
      }));
    },
    putOut: async (name, reason) =>
      void (await rows("INSERT INTO put_out VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET reason = $2", [
        name,
        reason,
      ])),
    readmit: async (name) => void (await rows("DELETE FROM put_out WHERE name = $1", [name])),

    putFile: async (hash, bytes) =>
      void (await rows("INSERT INTO file VALUES ($1, $2) ON CONFLICT DO NOTHING", [hash, bytes])),
    file: async (hash) => (await rows("SELECT bytes FROM file WHERE hash = $1", [hash]))[0]?.bytes ?? null,

    async close() {
      for (const queue of queues.values()) await queue.close();
      await pool.end();
    },
  };
}

async function prepare(pool, prefix, schema) {
  const client = await patiently(() => pool.connect());
  try {
    // Several machines may come at once, and CREATE IF NOT EXISTS alone is no guard against that.
    await client.query("BEGIN");
    await client.query("SELECT pg_advisory_xact_lock(hashtext($1))", [`deltallm-fleet ${prefix}`]);
    await client.query(`CREATE SCHEMA IF NOT EXISTS "${prefix}"; ${tables}`);
    await client.query("COMMIT");
    await runMigrations(client, schema);
  } finally {
    client.release(true);
  }
}

/** Codes of a server that restarts or cannot be reached for the moment. */
const passing = /^(?:57P0[123]|08\w{3}|ECONN(?:REFUSED|RESET)|EPIPE|ETIMEDOUT)$/;
const TRIES = 30;

/** What a restart of the database cuts off is asked again: every query here may be asked twice. */
async function patiently(work) {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      const broken = passing.test(error.code ?? "") || /^Connection terminated/.test(error.message);
      if (!broken || tries === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.min(100 * tries, 1000)));
    }
  }
}
