import { attend } from "#src/attention/attend.js";
import type { CacheDescriptor } from "#src/kv/descriptor.js";
import type { Execute } from "#src/threads/team.js";

/** Where a layer of attention finds what it needs; plain data. */
export interface AttendPlan {
  cache: CacheDescriptor;
  queries: number;
  out: number;
  scratch: number;
}

/** What threads that compute nothing but attention are told. */
export type AttendCommand = { plan: AttendPlan } | { position: number; tokens: number; layer: number };

/** Makes the function with which each thread obeys. */
export function makeAttend(): Execute {
  let plan: AttendPlan | undefined;
  return (thread, message) => {
    const command = message as AttendCommand;
    if ("plan" in command) {
      plan = command.plan;
      return;
    }
    if (!plan) throw new Error("attention without a cache");
    const { position, tokens, layer } = command;
    const work = tokens === 1 ? "decode" : "prefill";
    attend(thread, { cache: plan.cache, position, tokens, work }, layer, plan.out, plan.queries, plan.scratch);
  };
}
