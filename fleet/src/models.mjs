import { realpath } from "node:fs/promises";
import { basename } from "node:path";
import { FleetError } from "./requests.mjs";

/**
 * What to load for `--model`. `sha256:HASH` is looked for in this machine's cache, then on the machines given, then on
 * those that share it; what comes over the network is compared with the hash. Everything else is what `loadModel` takes.
 * @param {string} model
 * @param {{ store: import("./store-types.mjs").Store, from?: string[], log?: (line: string) => void }} options `from`: addresses
 * of machines (`http://HOST:PORT`)
 * @returns {Promise<string>}
 * @throws FleetError where nobody has it
 */
export async function findModel(model, { store, from = [], log = () => undefined }) {
  const [, hash] = /^sha256:([\da-f]{64})$/.exec(model) ?? [];
  if (hash === undefined) return model;
  const { listModels, pullModel } = await import("deltallm");
  for (const { path, file, partial } of await listModels())
    if (!partial && path && (file === hash || basename(await realpath(path).catch(() => "")) === hash)) return path;
  const sharing = (await store.machines()).filter(({ sha256, reason }) => sha256 === hash && reason === undefined);
  // Not all new machines go to the same one.
  const others = sharing.map(({ address }) => address).sort(() => Math.random() - 0.5);
  const failures = [];
  for (const address of [...from, ...others]) {
    const url = `${address.replace(/\/+$/, "")}/files/${hash}`;
    try {
      log(`fetching the model from ${address}`);
      const { files } = await pullModel(url);
      return files[0].path;
    } catch (error) {
      failures.push(`${address}: ${error.message}`);
    }
  }
  throw new FleetError(
    failures.length
      ? `The model ${hash} could not be had from any machine: ${failures.join("; ")}`
      : `No machine shares the model ${hash}; start a worker that has it with --share, or name a server with --from`,
  );
}
