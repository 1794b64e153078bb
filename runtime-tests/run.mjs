// Entry for Node, Deno and Bun, inside the folder where the package is installed: prints one line of JSON.
import * as deltallm from "deltallm";
import { runSuite } from "./suite.mjs";

const threads = Number(process.argv[2]) || undefined;
const { readFile } = await import("node:fs/promises");
const { fileURLToPath } = await import("node:url");
const story = new URL("node_modules/deltallm/weights/story.gguf", import.meta.url);
const bytes = new Uint8Array(await readFile(fileURLToPath(story)));
const result = await runSuite(deltallm, "embedded", { threads }, bytes);
console.log(JSON.stringify(result));
