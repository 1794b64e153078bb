import * as deltallm from "/package/dist/browser/deltallm.js";
import { run } from "./run.js";

await run(deltallm, "embedded");
postMessage(globalThis.result);
