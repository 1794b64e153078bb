/** What came out of one example. The numbers are enough to compute every summary again. */
export type EvalRecord = ChoiceRecord | WordRecord | AnswerRecord | WindowRecord;

interface RecordBase {
  task: string;
  /** Row in the data file, from 0. */
  index: number;
  /** Tokens that were cut off on the left because the example did not fit the context. */
  cut?: number;
}

export interface ChoiceRecord extends RecordBase {
  gold: number;
  /** Sum of the log-probabilities of each choice. */
  logprobs: number[];
  /** Tokens of each choice. */
  tokens: number[];
  /** UTF-8 bytes of each choice, where the task has an acc_norm. */
  bytes?: number[];
}

export interface WordRecord extends RecordBase {
  logprob: number;
  tokens: number;
  /** Whether every token was the likeliest. */
  greedy: boolean;
}

export interface AnswerRecord extends RecordBase {
  id: string;
  prediction: string;
  exact: number;
  f1: number;
  /** Whether the question has an answer. */
  answerable: boolean;
}

export interface WindowRecord extends RecordBase {
  /** Sum over the scored tokens. */
  logprob: number;
  /** Scored tokens: all but the first of the window. */
  tokens: number;
}

/** Index of the largest, the first of equals (as numpy's argmax). */
function argmax(values: readonly number[]): number {
  return values.reduce((best, value, i) => (value > (values[best] as number) ? i : best), 0);
}

/** Whether the likeliest choice is the right one. */
export function isRight(record: ChoiceRecord): boolean {
  return argmax(record.logprobs) === record.gold;
}

/** Whether the choice likeliest per byte is the right one. */
export function isRightPerByte(record: ChoiceRecord): boolean {
  const { logprobs, bytes = [] } = record;
  return argmax(logprobs.map((logprob, i) => logprob / (bytes[i] as number))) === record.gold;
}
