import { FleetError } from "./requests.mjs";

/**
 * Opens the store at an address.
 * @param {{ redis?: string, postgres?: string, prefix?: string }} options addresses (`redis://HOST:6379`,
 * `postgres://USER@HOST/DATABASE`), of which one is used: PostgreSQL where it is given, otherwise Redis on this machine;
 * `prefix`: what all keys, or the names of schemas, begin with
 * @returns {Promise<import("./store-types.mjs").Store>}
 * @throws FleetError for an address that is none
 */
export async function openStore({ redis, postgres, prefix = "deltallm" } = {}) {
  const address = postgres ?? redis ?? "redis://127.0.0.1:6379";
  const allowed = postgres ? ["postgres:", "postgresql:"] : ["redis:", "rediss:"];
  if (!URL.canParse(address) || !allowed.includes(new URL(address).protocol))
    throw new FleetError(`${JSON.stringify(address)} is not an address that begins with ${allowed[0]}//`);
  if (!/^[a-z_]\w{0,40}$/i.test(prefix))
    throw new FleetError(`The prefix ${JSON.stringify(prefix)} has other characters than letters, digits and _`);
  if (postgres) return (await import("./postgres-store.mjs")).openPostgres(postgres, prefix);
  return (await import("./redis-store.mjs")).openRedis(redis, prefix);
}
