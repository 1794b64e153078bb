import type { CacheDescriptor } from "../kv/descriptor.js";
import type { Execute } from "../threads/team.js";
import { architectureOf } from "./architectures/index.js";
import { arrangeLayers, type Room } from "./feed-forward.js";
import type { CacheChanges } from "./open-caches.js";
import { ForwardPass } from "./pass.js";
import type { LayerWeights, ModelPlan } from "./plan.js";
import type { Profile } from "./profile.js";
import { renamed, type Slice } from "./slice.js";

/** What the coordinating thread tells all threads to do; plain data. */
export type Command =
  | { do: "plan"; plan: ModelPlan }
  /** Brings feed-forward layers to the layouts for sparse inputs. */
  | { do: "arrange"; layers: number[]; room?: Room | undefined }
  /**
   * Runs the ids in the id buffer; caches go by number; `out`: address of the wanted rows, of logits or of what the last
   * norm makes of the residual stream; `changes`: of the caches, before that.
   */
  | { do: "forward"; slices: Slice<number>[]; out: number; output: Output; changes: CacheChanges | undefined };

/** What a pass gives of the wanted rows: `[vocab]` or `[hidden]` numbers each. */
export type Output = "logits" | "hidden";

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
      case "arrange":
        if (plan) arrangeLayers(thread, plan, command.layers, command.room);
        break;
      case "forward": {
        if (!plan) throw new Error("forward pass without a model");
        if (command.changes) {
          for (const cache of command.changes.closed) caches.delete(cache);
          for (const { cache, descriptor } of command.changes.opened) caches.set(cache, descriptor);
        }
        const slices: Slice<CacheDescriptor>[] = [];
        for (const slice of command.slices) {
          const cache = caches.get(slice.cache);
          if (!cache) throw new Error("forward pass without a cache");
          slices.push(renamed(slice, cache));
        }
        profile?.start();
        forward(new ForwardPass(thread, plan, slices, profile), plan, command);
      }
    }
  };
}

/** The whole model: embedding, layers, head. */
function forward(pass: ForwardPass, plan: ModelPlan, { out, output }: { out: number; output: Output }): void {
  const architecture = architectureOf(plan.config);
  pass.embed();
  for (let layer = 0; layer < plan.layers.length; layer++) {
    pass.layer = layer;
    architecture.run(pass, plan, plan.layers[layer] as LayerWeights, layer);
  }
  if (output === "logits") pass.logits(out);
  else pass.lastHidden(out);
}
