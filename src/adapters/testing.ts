import type { Chat, ChatOptions, GenerateOptions, LoadOptions, Model, Session } from "deltallm";
import { loadModel } from "deltallm";

/** Options of `testModel`. */
export interface TestModelOptions extends LoadOptions {
  /** Start of the random sequence of every generation that is given none. Default 1. */
  seed?: number | undefined;
  /** Most tokens of every generation that is given no limit. Default 32. */
  maxTokens?: number | undefined;
}

/**
 * The embedded model for other people's tests: no download, some hundred milliseconds to load, one thread, a fixed seed.
 * The same calls give the same text on every machine and runtime, so snapshots of it can be compared.
 */
export async function testModel(options: TestModelOptions = {}): Promise<Model> {
  const { seed = 1, maxTokens = 32, ...load } = options;
  const model = await loadModel("embedded", { threads: 1, engineThread: "caller", ...load });
  const given = (own: GenerateOptions = {}): GenerateOptions => ({
    ...own,
    seed: own.seed ?? seed,
    maxTokens: own.maxTokens ?? maxTokens,
  });
  const session = (made: Session): Session =>
    replace(made, {
      generate: (prompt, own) => made.generate(prompt, given(own)),
      fork: async (options) => session(await made.fork(options)),
    });
  const chat = (made: Chat): Chat =>
    replace(made, {
      send: (message, own) => made.send(message, given(own)),
      regenerate: (own) => made.regenerate(given(own)),
      continue: (own) => made.continue(given(own)),
      fork: async (options) => chat(await made.fork(options)),
    });
  return replace(model, {
    generate: (prompt, own) => model.generate(prompt, given(own)),
    complete: ((prompt: Parameters<Model["complete"]>[0], own?: GenerateOptions) =>
      model.complete(prompt, given(own))) as Model["complete"],
    createChat: (own?: ChatOptions) => chat(model.createChat(own)),
    createSession: () => session(model.createSession()),
    restore: async (bytes, options) => session(await model.restore(bytes, options)),
  });
}

/** The object with some of its methods replaced. */
function replace<Target extends object>(object: Target, methods: Partial<Target>): Target {
  return new Proxy(object, {
    get(target, key) {
      if (Object.hasOwn(methods, key)) return methods[key as keyof Target];
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
