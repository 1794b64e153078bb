import type { AnswerRecord, ChoiceRecord, EvalRecord, WindowRecord, WordRecord } from "./records.js";
import { isRight, isRightPerByte } from "./records.js";
import { type BootstrapOptions, bootstrapMean, bootstrapRatio } from "./statistics/bootstrap.js";
import { type Interval, wilsonInterval } from "./statistics/wilson.js";
import { taskNames } from "./tasks.js";

/** A measured value and where the true one lies with 95 % confidence. */
export interface Measure {
  value: number;
  /** Absent where there is nothing to compute it from. */
  ci?: Interval | undefined;
}

/** What a task came to. Accuracies are fractions, SQuAD's figures per cent, nll in nats. */
export interface TaskSummary {
  task: string;
  /** Examples. */
  n: number;
  /** Examples that did not fit the context and were cut on the left. */
  cut: number;
  measures: Record<string, Measure>;
}

/** One summary per task, in the usual order. The order of the records does not matter. */
export function summarise(records: readonly EvalRecord[], options: BootstrapOptions = {}): TaskSummary[] {
  return taskNames.flatMap((task) => {
    const own = records.filter((record) => record.task === task).sort((a, b) => a.index - b.index);
    if (own.length === 0) return [];
    const cut = own.filter((record) => record.cut).length;
    return [{ task, n: own.length, cut, measures: measuresOf(task, own, options) }];
  });
}

function measuresOf(task: string, records: readonly EvalRecord[], options: BootstrapOptions): Record<string, Measure> {
  const n = records.length;
  if (task === "squad_v2") return squadMeasures(records as AnswerRecord[], options);
  if (task === "lambada") {
    const words = records as WordRecord[];
    const losses = words.map(({ logprob }) => -logprob);
    return {
      acc: accuracy(words.filter(({ greedy }) => greedy).length, n),
      nll: mean(losses, options),
      perplexity: exponential(mean(losses, options)),
    };
  }
  if (task === "perplexity") {
    const windows = records as WindowRecord[];
    const losses = windows.map(({ logprob }) => -logprob);
    const tokens = windows.map((window) => window.tokens);
    // One window says nothing about how windows differ.
    const ci = n > 1 ? bootstrapRatio(losses, tokens, options) : undefined;
    const nll = { value: total(losses) / total(tokens), ci };
    return { tokens: { value: total(tokens) }, nll, perplexity: exponential(nll) };
  }
  const choices = records as ChoiceRecord[];
  const perByte = choices.every(({ bytes }) => bytes);
  return {
    acc: accuracy(choices.filter(isRight).length, n),
    ...(perByte && { acc_norm: accuracy(choices.filter(isRightPerByte).length, n) }),
    nll: mean(
      choices.map(({ logprobs, gold }) => -(logprobs[gold] as number)),
      options,
    ),
  };
}

function squadMeasures(records: readonly AnswerRecord[], options: BootstrapOptions): Record<string, Measure> {
  const measures: Record<string, Measure> = {};
  const add = (suffix: string, part: readonly AnswerRecord[]) => {
    if (part.length === 0) return;
    const exact = accuracy(part.filter((record) => record.exact).length, part.length);
    const f1 = mean(
      part.map((record) => record.f1),
      options,
    );
    measures[`exact${suffix}`] = percent(exact);
    measures[`f1${suffix}`] = percent(f1);
  };
  add("", records);
  add(
    "_has_answer",
    records.filter(({ answerable }) => answerable),
  );
  add(
    "_no_answer",
    records.filter(({ answerable }) => !answerable),
  );
  return measures;
}

function accuracy(right: number, n: number): Measure {
  return { value: right / n, ci: wilsonInterval(right, n) };
}

function mean(values: readonly number[], options: BootstrapOptions): Measure {
  return { value: total(values) / values.length, ci: bootstrapMean(values, options) };
}

function percent({ value, ci }: Measure): Measure {
  return { value: value * 100, ci: ci && [ci[0] * 100, ci[1] * 100] };
}

function exponential({ value, ci }: Measure): Measure {
  return { value: Math.exp(value), ci: ci && [Math.exp(ci[0]), Math.exp(ci[1])] };
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
