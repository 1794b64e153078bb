import type { CacheDescriptor } from "../attention/cache.js";
import type { Execute } from "../runtime/team.js";
import { bitnetLayer } from "./bitnet.js";
import { llamaLayer } from "./llama.js";
import { ForwardPass } from "./pass.js";
import type { ModelPlan } from "./plan.js";
import type { Profile } from "./profile.js";

/** What the coordinating thread tells all threads to do; plain data. */
export type Command =
  | { do: "plan"; plan: ModelPlan }
  | { do: "open cache"; cache: number; descriptor: CacheDescriptor }
  | { do: "close cache"; cache: number }
  /** Runs the ids in the id buffer; `logits`: address of the result, 0 when none is wanted; `all`: of every token. */
  | { do: "forward"; cache: number; tokens: number; position: number; logits: number; all: boolean };

/**
 * Makes the function each thread obeys commands with. It remembers the model and the open caches.
 * @param profile where this thread books the time of each operation
 */
export function makeExecute(profile?: Profile): Execute {
  let plan: ModelPlan | undefined;
  const caches = new Map<number, CacheDescriptor>();
  return (thread, message) => {
    const command = message as Command;
    switch (command.do) {
      case "plan":
        plan = command.plan;
        break;
      case "open cache":
        caches.set(command.cache, command.descriptor);
        break;
      case "close cache":
        caches.delete(command.cache);
        break;
      case "forward": {
        const cache = caches.get(command.cache);
        if (!plan || !cache) throw new Error("forward pass without a model or a cache");
        profile?.start();
        forward(new ForwardPass(thread, plan, cache, command.tokens, command.position, profile), plan, command);
      }
    }
  };
}

/** The whole model: embedding, layers, head. */
function forward(pass: ForwardPass, plan: ModelPlan, { logits, all }: { logits: number; all: boolean }): void {
  const layer = plan.config.architecture === "bitnet" ? bitnetLayer : llamaLayer;
  pass.embed();
  plan.layers.forEach((weights, index) => {
    layer(pass, plan, weights, index);
  });
  if (logits) pass.logits(logits, all);
}
