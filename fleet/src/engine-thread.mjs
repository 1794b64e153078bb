// The model on a thread of its own, so that computing never keeps the queue's thread from renewing its locks.
import { once } from "node:events";
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parentPort, workerData } from "node:worker_threads";
import { createHandler } from "deltallm/server";

/** As many as one request may ask for: how many a machine computes at once must not decide whether it answers. */
const ANSWERS = 128;
const { source, options, timeout } = workerData;
const handler = createHandler({ models: { model: { source, options } }, parallel: ANSWERS, queue: 1 << 20, timeout });

parentPort.on("message", async ({ number, url, body, share }) => {
  try {
    if (share) return parentPort.postMessage({ number, port: await shareFiles(share) });
    // The time a job may take does not count what loading takes.
    await handler.preload();
    const { model: _, ...asked } = body ?? {};
    const request = new Request(`http://localhost${url}`, {
      method: body ? "POST" : "GET",
      ...(body ? { headers: { "content-type": "application/json" }, body: JSON.stringify(asked) } : {}),
    });
    const response = await handler(request);
    parentPort.postMessage({ number, status: response.status, body: await response.json() });
  } catch (error) {
    parentPort.postMessage({ number, error: error?.stack ?? String(error) });
  }
});

/** Gives the model's file, and nothing else, to other machines. */
async function shareFiles({ host, port }) {
  const server = createServer(async (incoming, outgoing) => {
    try {
      const allowed = /^\/files(?:\/[\da-f]{64})?$/.test(incoming.url) && ["GET", "HEAD"].includes(incoming.method);
      const { range, "if-range": ifRange } = incoming.headers;
      const headers = { ...(range && { range }), ...(ifRange && { "if-range": ifRange }) };
      const response = allowed
        ? await handler(new Request(`http://localhost${incoming.url}`, { method: incoming.method, headers }))
        : new Response(null, { status: 404 });
      outgoing.writeHead(response.status, Object.fromEntries(response.headers));
      if (response.body) await pipeline(Readable.fromWeb(response.body), outgoing);
      else outgoing.end();
    } catch {
      outgoing.destroy();
    }
  }).listen(port, host);
  await once(server, "listening");
  return server.address().port;
}
