#!/usr/bin/env node
import * as module from "node:module";
import { processHost } from "./host.js";

// Node 22 and later keep what they compile for the next start, beside other temporary files. Imported after this call, so that
// it is kept too.
(module as { enableCompileCache?: () => unknown }).enableCompileCache?.();
const { runCommandLine } = await import("./run.js");
const code = await runCommandLine(process.argv.slice(2), processHost(process));
await new Promise((resolve) => process.stdout.write("", resolve));
// An explicit exit: Node can deadlock when it waits for its own compiler threads at the end (nodejs/node#54918).
process.exit(code);
