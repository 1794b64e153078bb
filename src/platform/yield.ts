import { platform } from "./platform.js";

/** Lets timers, input and aborts be handled, then goes on: at once, without the delay of a timer. */
export const yieldToEventLoop: () => Promise<void> =
  platform === "browser" || typeof setImmediate === "undefined"
    ? () =>
        new Promise((resolve) => {
          const { port1, port2 } = new MessageChannel();
          port1.onmessage = () => {
            port1.close();
            resolve();
          };
          port2.postMessage(undefined);
        })
    : () => new Promise((resolve) => setImmediate(resolve));
