// The model on a thread of its own, so that computing never keeps the queue's thread from renewing its locks.
import { parentPort, workerData } from "node:worker_threads";
import { createHandler } from "deltallm/server";

const { source, options, parallel, timeout } = workerData;
const handler = createHandler({ models: { model: { source, options } }, parallel, queue: 1 << 20, timeout });

parentPort.on("message", async ({ number, url, body }) => {
  try {
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
