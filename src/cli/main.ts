#!/usr/bin/env node
import process from "node:process";
import { processHost } from "./host.js";
import { runCommandLine } from "./run.js";

const code = await runCommandLine(process.argv.slice(2), processHost(process));
await new Promise((resolve) => process.stdout.write("", resolve));
// An explicit exit: Node can deadlock when it waits for its own compiler threads at the end (nodejs/node#54918).
process.exit(code);
