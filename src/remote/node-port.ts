import type { Port } from "./endpoint.js";

/** What a worker of `node:worker_threads` and its `parentPort` have in common. */
export interface NodePort {
  postMessage(message: unknown, transfer: never[]): void;
  on(event: "message", listener: (data: unknown) => void): unknown;
}

/** A worker of `node:worker_threads`, or its `parentPort`, with the interface of web workers. */
export function portOf(node: NodePort): Port {
  let listener: Port["onmessage"] = null;
  node.on("message", (data) => listener?.({ data } as MessageEvent));
  return {
    postMessage: (message, transfer) => node.postMessage(message, transfer as never[]),
    get onmessage() {
      return listener;
    },
    set onmessage(value) {
      listener = value;
    },
  };
}
