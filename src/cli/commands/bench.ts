import { OptionError } from "../../errors.js";
import type { Speed } from "../../types.js";
import { attentionJson, ffnJson, formatBytes, formatFfn, formatTable } from "../format.js";
import { loadOptions, withModel } from "../model.js";
import type { ModelFlags } from "../options.js";
import { ProgressBar } from "../progress.js";
import type { Terminal } from "../terminal.js";

export interface BenchFlags extends ModelFlags {
  shape?: string;
  ffnZeros?: number;
  prompt: number;
  newTokens: number;
  depth: number;
  profile?: boolean;
}

/** Tokens computed before anything is measured, so that the engine has optimised its code. */
const WARM_UP_PROMPT = 64;
const WARM_UP_STEPS = 8;

/** `bench`: tokens per second of prefill and decode, after `depth` tokens of context. */
export async function bench(terminal: Terminal, flags: BenchFlags): Promise<void> {
  const { prompt, newTokens, depth } = flags;
  if (prompt + newTokens === 0) throw new OptionError("There is nothing to measure", {}, "Give -p or -n above 0");
  if (flags.ffnZeros !== undefined && !flags.shape)
    throw new OptionError(
      "A share of zero gates without a shape",
      { key: "--ffn-zeros" },
      "Give --shape bitnet-2b too",
    );
  const zeros = flags.ffnZeros === undefined ? "" : `:${flags.ffnZeros}`;
  const source = flags.shape ? `random:${flags.shape}${zeros}` : flags.model;
  const context = Math.max(depth + prompt + newTokens, WARM_UP_PROMPT + WARM_UP_STEPS);
  const options = await loadOptions(terminal, { ...flags, ctx: flags.ctx ?? context });
  await withModel(terminal, source, { ...options, profile: flags.profile, prefixCacheBytes: 0 }, async (model) => {
    const bar = new ProgressBar(terminal);
    const ids = pseudoRandomIds(depth + prompt + newTokens + WARM_UP_PROMPT, model.config.vocab);
    const result = await terminal.interruptible(async (signal) => {
      const onProgress = (progress: Parameters<ProgressBar["update"]>[0]) => bar.update(progress);
      const warmUp = model.createSession();
      await warmUp.prefill(ids.slice(0, prompt > 0 ? WARM_UP_PROMPT : 1), { signal, onProgress });
      if (newTokens > 0) for (let i = 0; i < WARM_UP_STEPS; i++) await warmUp.step(ids[i] as number);
      await warmUp.dispose();

      const session = model.createSession();
      try {
        if (depth > 0) await session.prefill(ids.slice(0, depth), { signal, onProgress });
        model.resetStats();
        const prefill = await measure(prompt, async () => {
          if (prompt > 0) await session.prefill(ids.slice(depth, depth + prompt), { signal, onProgress });
        });
        const prefillStats = model.stats();
        model.resetStats();
        const decode = await measure(newTokens, async () => {
          for (let i = 0; i < newTokens; i++) {
            signal.throwIfAborted();
            await session.step(ids[depth + prompt + i] as number);
          }
        });
        const stats = model.stats();
        return {
          prefill,
          decode,
          prefillStats,
          stats,
          profile: { prefill: prefillStats.profile, decode: stats.profile },
        };
      } finally {
        await session.dispose();
      }
    });
    bar.clear();
    const { prefill, decode, prefillStats, stats, profile } = result;
    const { memoryBytes, weightBytes, kernel, threads, threadsReason, attention } = stats;
    const residentBytes = terminal.host.residentBytes();
    if (flags.json)
      await terminal.json({
        model: source,
        depth,
        prefill,
        decode,
        memoryBytes,
        weightBytes,
        residentBytes,
        kernel,
        threads,
        threadsReason,
        attention: attentionJson(attention, flags.stats),
        ...(stats.ffn
          ? { ffn: { prefill: ffnJson(prefillStats.ffn, flags.stats), decode: ffnJson(stats.ffn, flags.stats) } }
          : {}),
        ...(flags.profile ? { profile } : {}),
      });
    else {
      const speed = ({ tokens, ms, tokensPerSecond }: Speed) =>
        `${tokensPerSecond.toFixed(1)} tokens/s (${tokens} tokens, ${ms.toFixed(0)} ms)`;
      await terminal.line(
        formatTable([
          ["model", source],
          ["context before", `${depth} tokens`],
          ["prefill", speed(prefill)],
          ["decode", speed(decode)],
          ["memory", `${formatBytes(memoryBytes)}, of it weights ${formatBytes(weightBytes)}`],
          ["resident", residentBytes === undefined ? "unknown" : formatBytes(residentBytes)],
          ...(stats.ffn
            ? [
                ["zeros, prefill", formatFfn(prefillStats.ffn)] as const,
                ["zeros, decode", formatFfn(stats.ffn)] as const,
              ]
            : []),
          ["kernels", kernel],
          ["threads", `${threads} (${threadsReason})`],
        ]),
      );
      if (flags.profile && !flags.json) {
        await terminal.line(`\n${profileTable("prefill", prefill.ms, profile.prefill ?? {})}`);
        await terminal.line(`\n${profileTable("decode", decode.ms, profile.decode ?? {})}`);
      }
    }
  });
}

async function measure(tokens: number, run: () => Promise<void>): Promise<Speed> {
  const start = performance.now();
  await run();
  const ms = tokens > 0 ? performance.now() - start : 0;
  return { tokens, ms, tokensPerSecond: ms > 0 ? (tokens / ms) * 1000 : 0 };
}

/** Ids spread over the vocabulary, the same every time. */
function pseudoRandomIds(count: number, vocab: number): number[] {
  let state = 1;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * vocab);
  });
}

/** Where the time went, most first; what no operation took (JavaScript between forward passes) comes last. */
function profileTable(work: string, total: number, times: Record<string, number>): string {
  const rows = Object.entries(times).sort(([, a], [, b]) => b - a);
  const rest = total - rows.reduce((sum, [, ms]) => sum + ms, 0);
  const line = ([name, ms]: [string, number]) => [
    `  ${name}`,
    `${ms.toFixed(1)} ms  ${((ms / total) * 100).toFixed(1)} %`,
  ];
  return formatTable([
    [work, `${total.toFixed(1)} ms`],
    ...[...rows, ["between passes", rest] as [string, number]].map(line),
  ]);
}
