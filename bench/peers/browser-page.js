// One engine on a web page: ?engine=deltallm|wllama&model=URL&threads=N&tokens=N&decode=N&text=TEXT. Leaves speeds, or the
// reason why there are none, in `window.result`. Either engine computes a little first, so that its code is optimised.
const asked = new URLSearchParams(location.search);
const [threads, tokens, decode] = ["threads", "tokens", "decode"].map((name) => Number(asked.get(name)));
const text = asked.get("text");
const warmUp = {
  text: "Once upon a time, long before the first road was laid, a fox and a crane met at the well. ",
  decode: 8,
};
const contextLength = 2 * tokens + decode + 128;
const speed = (count, ms) => ({ tokens: count, ms, tokensPerSecond: (count / ms) * 1000 });

async function deltallm(url) {
  const { loadModel } = await import("/dist/browser/deltallm.js");
  const model = await loadModel(url, { threads, contextLength, prefixCacheBytes: 0 });
  const measure = async (text, decode) => {
    const ids = Array.from(model.tokenizer.encode(text));
    const session = model.createSession();
    let start = performance.now();
    await session.prefill(ids);
    const prefill = speed(ids.length, performance.now() - start);
    start = performance.now();
    for (let i = 0; i < decode; i++) await session.step(ids[i % ids.length]);
    const decoded = speed(decode, performance.now() - start);
    await session.dispose();
    return { prefill, decode: decoded };
  };
  await measure(warmUp.text, warmUp.decode);
  return { ...(await measure(text, decode)), threads: model.stats().threads };
}

/** The times are llama.cpp's own. */
async function wllama(url) {
  const { Wllama } = await import("/wllama/esm/index.js");
  const engine = new Wllama({ default: "/wllama/esm/wasm/wllama.wasm" }, { suppressNativeLog: true });
  const file = await (await fetch(url)).blob();
  await engine.loadModel([file], { n_threads: threads, n_ctx: contextLength, n_gpu_layers: 0 });
  const measure = async (prompt, max_tokens) => {
    const fixed = { temperature: 0, ignore_eos: true, cache_prompt: false };
    const { timings } = await engine.createCompletion({ prompt, max_tokens, ...fixed });
    return {
      prefill: speed(timings.prompt_n, timings.prompt_ms),
      decode: speed(timings.predicted_n, timings.predicted_ms),
    };
  };
  await measure(warmUp.text, warmUp.decode);
  return { ...(await measure(text, decode)), threads: engine.getNumThreads() };
}

try {
  globalThis.result = await { deltallm, wllama }[asked.get("engine")](asked.get("model"));
} catch (error) {
  globalThis.result = { error: `${error.message ?? error}\n${error.stack ?? ""}` };
}
