import { publishedHashes } from "../../embedded.js";
import { fingerprint } from "../../formats/fingerprint.js";
import type { LoadOptions, Model } from "../../types.js";
import { formatTable } from "../format.js";
import { readText } from "../input.js";
import { loadOptions, withModel } from "../model.js";
import type { ModelFlags } from "../options.js";
import { ProgressBar } from "../progress.js";
import type { Terminal } from "../terminal.js";

export interface VerifyFlags extends ModelFlags {
  expect?: string;
}

const PROMPT_TOKENS = 96;
/** Selection chooses among keys that are far from both ends. */
const SELECTING_TOKENS = 448;
const STEPS = 16;

/**
 * `verify`: hashes the bits of the logits of a fixed prompt, of prefill and of steps after it. The hash depends on the
 * model and on the options that change numbers, never on machine, engine, kernels, threads or chunks.
 * Returns false when it is not the published (or expected) one.
 */
export async function verify(terminal: Terminal, flags: VerifyFlags): Promise<boolean> {
  const { select, preset } = flags;
  const selects =
    (select !== undefined && select !== "off") || (preset !== undefined && preset !== "exact" && select !== "off");
  const tokens = selects ? SELECTING_TOKENS : PROMPT_TOKENS;
  const options = await loadOptions(terminal, { ...flags, ctx: flags.ctx ?? (selects ? 512 : 256) });
  return withModel(terminal, flags.model, options, async (model) => {
    const bar = new ProgressBar(terminal);
    const hash = await terminal.interruptible((signal) =>
      hashLogits(model, tokens, signal, (fraction) => bar.update({ phase: "prefill", fraction, bytes: 0 })),
    );
    bar.clear();
    const { kernel, threads, threadsReason } = model.stats();
    const modelId = await fingerprint(model.file);
    const settings = await settingsOf(terminal, flags, options);
    const published = (await publishedHashes()).find(
      (entry) => entry.model === modelId && entry.settings === settings,
    )?.hash;
    const expected = flags.expect ?? published;
    const equal = expected === undefined ? null : expected === hash;
    if (flags.json)
      await terminal.json({
        hash,
        model: modelId,
        name: model.config.name,
        settings,
        kernel,
        threads,
        threadsReason,
        expected: expected ?? null,
        equal,
      });
    else
      await terminal.line(
        formatTable([
          ["hash", hash],
          ["expected", `${expected ?? "none published for this model and these settings"}${equal ? ", equal" : ""}`],
          ["model", `${model.config.name} (${modelId})`],
          ["settings", settings],
          ["kernels", kernel],
          ["threads", `${threads} (${threadsReason})`],
        ]),
      );
    if (equal === false) await terminal.note("The logits are NOT the expected ones.");
    return equal !== false;
  });
}

/** SHA-256 over the SHA-256 of every row of logits. The ids are spread over the vocabulary: no tokenizer takes part. */
async function hashLogits(
  model: Model,
  tokens: number,
  signal: AbortSignal,
  progress: (fraction: number) => void,
): Promise<string> {
  const { vocab } = model.config;
  const ids = Array.from({ length: tokens }, (_, i) => ((i * 7919 + 17) * 104729) % vocab);
  const digests: Uint8Array[] = [];
  const add = async (row: Float32Array) => {
    digests.push(new Uint8Array(await crypto.subtle.digest("SHA-256", canonicalBytes(row))));
    progress(digests.length / (tokens + STEPS));
  };
  const session = model.createSession();
  try {
    let last = new Float32Array(0);
    for (let start = 0; start < ids.length; start += tokens / 4) {
      const rows = await session.prefill(ids.slice(start, start + tokens / 4), { allLogits: true, signal });
      for (let at = 0; at < rows.length; at += vocab) {
        last = rows.slice(at, at + vocab);
        await add(last);
      }
    }
    for (let i = 0; i < STEPS; i++) {
      signal.throwIfAborted();
      last = Float32Array.from(await session.step(argmax(last)));
      await add(last);
    }
  } finally {
    await session.dispose();
  }
  return hex(await crypto.subtle.digest("SHA-256", joined(digests)));
}

/** Little-endian bytes with one bit pattern for every NaN. */
function canonicalBytes(row: Float32Array): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(row.length * 4));
  row.forEach((value, i) => {
    if (Number.isNaN(value)) view.setUint32(i * 4, 0x7fc00000, true);
    else view.setFloat32(i * 4, value, true);
  });
  return new Uint8Array(view.buffer);
}

function argmax(row: Float32Array): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if ((row[i] as number) > (row[best] as number)) best = i;
  return best;
}

/** The options that change numbers, in a fixed order; defaults are left out, a file of thresholds is named by its hash. */
async function settingsOf(terminal: Terminal, flags: ModelFlags, options: LoadOptions): Promise<string> {
  const { kvCache, head, grain, basis, threshold, sparsity, windowScale, window, windowShape, sink, valueCutoff } =
    flags;
  const delta = options.attention?.kind === "delta";
  const thresholds = flags.thresholds && (await contentHash(await readText(terminal, flags.thresholds)));
  const far = { grain, basis, threshold, sparsity, thresholds, windowScale, window, windowShape, sink };
  const set = {
    kvCache: kvCache === "int8" ? undefined : kvCache,
    head,
    attention: delta ? "delta" : undefined,
    ...(delta ? far : {}),
    valueCutoff: valueCutoff || undefined,
    select: flags.select === "off" ? undefined : flags.select,
    preset: flags.preset === "exact" ? undefined : flags.preset,
    ...(flags.select || flags.preset ? { thresholds } : {}),
  };
  const parts = Object.entries(set).filter(([, value]) => value !== undefined);
  return parts.map(([key, value]) => `${key}=${value}`).join(" ") || "default";
}

async function contentHash(text: string): Promise<string> {
  return hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))).slice(0, 16);
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function hex(buffer: ArrayBuffer): string {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
