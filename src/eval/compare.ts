import { OptionError } from "../errors.js";
import type { LogHeader } from "./log.js";
import type { AnswerRecord, ChoiceRecord, EvalRecord, WindowRecord, WordRecord } from "./records.js";
import { isRight, isRightPerByte } from "./records.js";
import { type BootstrapOptions, bootstrapRatio } from "./statistics/bootstrap.js";
import { mcnemarExact } from "./statistics/mcnemar.js";
import type { Interval } from "./statistics/wilson.js";
import { taskNames } from "./tasks.js";

/** This run against another one on the same examples. */
export interface Comparison {
  task: string;
  measure: string;
  /** Examples both have. */
  n: number;
  /** Value of this run on them. */
  value: number;
  /** Value of the other run on them. */
  other: number;
  /** value − other. */
  difference: number;
  /** 95 % bootstrap interval of the difference over the examples. */
  ci?: Interval | undefined;
  /** For measures that are right or wrong: examples only this run, and only the other one, got right. */
  onlyThis?: number;
  onlyOther?: number;
  /** Exact McNemar test, two-sided. */
  p?: number;
}

interface Side {
  header: LogHeader;
  records: readonly EvalRecord[];
}

/** A measure as a ratio of sums over the examples; `right` where an example is right or wrong. */
interface Ratio {
  measure: string;
  right: boolean;
  /** Factor of the reported value. */
  scale: number;
  read: (record: EvalRecord) => readonly [above: number, below: number];
}

/**
 * Compares two runs example by example. Models and settings may differ, the data must not.
 * @throws OptionError when the data of a task differ, or no example is in both
 */
export function compare(run: Side, other: Side, options: BootstrapOptions = {}): Comparison[] {
  const comparisons: Comparison[] = [];
  for (const task of taskNames) {
    const [entry, otherEntry] = [run, other].map(({ header }) => header.tasks.find((known) => known.task === task));
    if (!entry || !otherEntry) continue;
    if (entry.sha256 !== otherEntry.sha256)
      throw new OptionError(`The two runs used different data for ${task}`, {}, "Compare runs on the same files");
    const others = new Map(
      other.records.filter((record) => record.task === task).map((record) => [record.index, record]),
    );
    const pairs = run.records
      .filter((record) => record.task === task && others.has(record.index))
      .sort((a, b) => a.index - b.index)
      .map((record) => [record, others.get(record.index) as EvalRecord] as const);
    if (pairs.length === 0) continue;
    for (const ratio of ratiosOf(task, pairs[0]?.[0] as EvalRecord))
      comparisons.push(compareRatio(task, ratio, pairs, options));
  }
  if (comparisons.length === 0)
    throw new OptionError("The two runs have no example in common", {}, "Compare runs of the same tasks");
  return comparisons;
}

function compareRatio(
  task: string,
  { measure, right, scale, read }: Ratio,
  pairs: readonly (readonly [EvalRecord, EvalRecord])[],
  options: BootstrapOptions,
): Comparison {
  const own = pairs.map(([record]) => read(record));
  const others = pairs.map(([, record]) => read(record));
  const above = own.map(([value], i) => (value - (others[i] as readonly number[])[0]!) * scale);
  const below = own.map(([, weight]) => weight);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const value = (sum(own.map(([part]) => part)) / sum(below)) * scale;
  const other = (sum(others.map(([part]) => part)) / sum(below)) * scale;
  const ci = pairs.length > 1 ? bootstrapRatio(above, below, options) : undefined;
  const comparison: Comparison = { task, measure, n: pairs.length, value, other, difference: value - other, ci };
  if (!right) return comparison;
  const onlyThis = above.filter((difference) => difference > 0).length;
  const onlyOther = above.filter((difference) => difference < 0).length;
  return { ...comparison, onlyThis, onlyOther, p: mcnemarExact(onlyThis, onlyOther) };
}

function ratiosOf(task: string, sample: EvalRecord): Ratio[] {
  const yes = (right: boolean) => [right ? 1 : 0, 1] as const;
  const ratio = (measure: string, right: boolean, read: Ratio["read"], scale = 1) => ({ measure, right, scale, read });
  if (task === "squad_v2")
    return [
      ratio("exact", true, (record) => yes((record as AnswerRecord).exact === 1), 100),
      ratio("f1", false, (record) => [(record as AnswerRecord).f1, 1], 100),
    ];
  if (task === "lambada")
    return [
      ratio("acc", true, (record) => yes((record as WordRecord).greedy)),
      ratio("nll", false, (record) => [-(record as WordRecord).logprob, 1]),
    ];
  if (task === "perplexity")
    return [
      ratio("nll", false, (record) => [-(record as WindowRecord).logprob, (record as WindowRecord).tokens] as const),
    ];
  const goldLoss = ({ logprobs, gold }: ChoiceRecord) => -(logprobs[gold] as number);
  return [
    ratio("acc", true, (record) => yes(isRight(record as ChoiceRecord))),
    ...((sample as ChoiceRecord).bytes
      ? [ratio("acc_norm", true, (record) => yes(isRightPerByte(record as ChoiceRecord)))]
      : []),
    ratio("nll", false, (record) => [goldLoss(record as ChoiceRecord), 1]),
  ];
}
