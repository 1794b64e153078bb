import { FormatError } from "../errors.js";
import type { TaskName } from "./tasks.js";

type Row = Record<string, unknown>;

/** Where the published data of a task are, and how their rows become those of the local files. */
export interface HubSet {
  /** Dataset repository of the hub. */
  repository: string;
  revision: string;
  /** The Parquet files of the split that is evaluated. */
  files: RegExp;
  columns: readonly string[];
  /** Rows of the published split. */
  rows: number;
  /** The rows in the form of the task's local file. */
  toText(rows: readonly Row[], file: string): string;
}

/** The branch in which the hub keeps Parquet files of sets that have none of their own. */
const CONVERTED = "refs/convert/parquet";

/** The set of each task, and the split that is commonly reported. */
export const hubSets: Readonly<Record<TaskName, HubSet>> = {
  winogrande: {
    repository: "allenai/winogrande",
    revision: "main",
    files: /(?:^|\/)winogrande_xl\/validation[^/]*\.parquet$/,
    columns: ["sentence", "option1", "option2", "answer"],
    rows: 1267,
    toText: lines((row) => {
      const [before, after] = row.text("sentence").split("_", 2) as [string, string | undefined];
      if (after === undefined) row.fail('"sentence" has no gap');
      return {
        context_options: [before + row.text("option1"), before + row.text("option2")],
        continuation: (after as string).trim(),
        gold: Number(row.text("answer")) - 1,
      };
    }),
  },
  arc_easy: { ...arc("ARC-Easy"), rows: 2376 },
  arc_challenge: { ...arc("ARC-Challenge"), rows: 1172 },
  piqa: {
    repository: "ybisk/piqa",
    revision: CONVERTED,
    files: /(?:^|\/)plain_text\/(?:partial-)?validation[^.]*\.parquet$/,
    columns: ["goal", "sol1", "sol2", "label"],
    rows: 1838,
    toText: lines((row) => ({
      query: `Question: ${row.text("goal")}\n`,
      choices: [row.text("sol1"), row.text("sol2")],
      gold: row.number("label"),
    })),
  },
  openbookqa: {
    repository: "allenai/openbookqa",
    revision: "main",
    files: /(?:^|\/)main\/test[^/]*\.parquet$/,
    columns: ["question_stem", "choices", "answerKey"],
    rows: 500,
    toText: lines((row) => ({ query: row.text("question_stem"), ...row.choices() })),
  },
  boolq: {
    repository: "google/boolq",
    revision: "main",
    files: /(?:^|\/)data\/validation[^/]*\.parquet$/,
    columns: ["question", "answer", "passage"],
    rows: 3270,
    toText: lines((row) => ({
      query: `Passage: ${row.text("passage")}\nQuestion: ${row.text("question")}?`,
      choices: ["no", "yes"],
      gold: row.boolean("answer") ? 1 : 0,
    })),
  },
  lambada: {
    repository: "EleutherAI/lambada_openai",
    revision: CONVERTED,
    files: /(?:^|\/)default\/test[^.]*\.parquet$/,
    columns: ["text"],
    rows: 5153,
    toText: lines((row) => {
      const text = row.text("text").trimEnd();
      const space = text.lastIndexOf(" ");
      if (space < 0) row.fail('"text" is one word');
      return { context: text.slice(0, space), continuation: text.slice(space + 1) };
    }),
  },
  squad_v2: {
    repository: "rajpurkar/squad_v2",
    revision: "main",
    files: /(?:^|\/)(?:squad_v2|data)\/validation[^/]*\.parquet$/,
    columns: ["id", "title", "context", "question", "answers"],
    rows: 11873,
    toText: (rows, file) =>
      JSON.stringify({
        data: rows.map((each, i) => {
          const row = new Fields(each, file, i);
          const answers = row.texts("answers", "text").map((text) => ({ text }));
          const qas = [{ id: row.text("id"), question: row.text("question"), answers }];
          return { title: row.text("title"), paragraphs: [{ context: row.text("context"), qas }] };
        }),
      }),
  },
  perplexity: {
    repository: "Salesforce/wikitext",
    revision: "main",
    files: /(?:^|\/)wikitext-2-raw-v1\/test[^/]*\.parquet$/,
    columns: ["text"],
    rows: 4358,
    // The set has empty rows where the original file has lines of one blank.
    toText: (rows, file) =>
      rows
        .map((each, i) => new Fields(each, file, i).any("text"))
        .map((text) => text || " \n")
        .join(""),
  },
};

function arc(name: string): Omit<HubSet, "rows"> {
  return {
    repository: "allenai/ai2_arc",
    revision: "main",
    files: new RegExp(`(?:^|/)${name}/test[^/]*\\.parquet$`),
    columns: ["question", "choices", "answerKey"],
    toText: lines((row) => ({ query: `Question: ${row.text("question")}`, ...row.choices() })),
  };
}

function lines(convert: (row: Fields) => object): HubSet["toText"] {
  return (rows, file) => rows.map((row, i) => JSON.stringify(convert(new Fields(row, file, i)))).join("\n");
}

/** Takes fields out of a row, or says what is wrong with them and where. */
class Fields {
  readonly #row: Row;
  readonly #file: string;
  readonly #index: number;

  constructor(row: Row, file: string, index: number) {
    this.#row = row;
    this.#file = file;
    this.#index = index;
  }

  any(name: string): string {
    const value = this.#row[name];
    if (typeof value !== "string") this.fail(`"${name}" is not a text`);
    return value as string;
  }

  text(name: string): string {
    const text = this.any(name);
    if (text === "") this.fail(`"${name}" is empty`);
    return text;
  }

  number(name: string): number {
    const value = Number(this.#row[name]);
    if (this.#row[name] === undefined || !Number.isInteger(value)) this.fail(`"${name}" is not a whole number`);
    return value;
  }

  boolean(name: string): boolean {
    const value = this.#row[name];
    if (typeof value !== "boolean") this.fail(`"${name}" is neither true nor false`);
    return value as boolean;
  }

  texts(name: string, inner: string): string[] {
    const list = Object(this.#row[name])[inner];
    if (!Array.isArray(list) || !list.every((item) => typeof item === "string"))
      this.fail(`"${name}.${inner}" is not a list of texts`);
    return list as string[];
  }

  /** `choices: { text, label }` and `answerKey`. */
  choices(): { choices: string[]; gold: number } {
    const choices = this.texts("choices", "text");
    return { choices, gold: this.texts("choices", "label").indexOf(this.text("answerKey")) };
  }

  fail(what: string): never {
    throw new FormatError(`Not the data of this task: ${what}`, { file: this.#file, key: `row ${this.#index}` });
  }
}
