import { FormatError } from "../errors.js";
import type { AnswerExample, ChoiceExample, TaskName, WordExample } from "./tasks.js";

const utf8 = new TextEncoder();
const answerCue = new Set<TaskName>(["arc_easy", "arc_challenge", "piqa", "boolq"]);

type Row = Record<string, unknown>;

/**
 * The examples in a data file. Shapes, one JSON object per line: `{ query, choices, gold }` (ARC, PIQA, OpenBookQA,
 * BoolQ), `{ context_options, continuation, gold }` (WinoGrande), `{ context, continuation }` (LAMBADA). SQuAD v2: the
 * official JSON file.
 * @param file named in errors
 * @throws FormatError naming the line
 */
export function readExamples(
  task: Exclude<TaskName, "perplexity">,
  text: string,
  file: string,
): (ChoiceExample | WordExample | AnswerExample)[] {
  if (task === "squad_v2") return readSquad(text, file);
  return readLines(text, file).map(({ row, line }, index) => {
    const check = new Check(row, file, `line ${line}`);
    if (task === "lambada") {
      const request = { context: check.text("context"), continuation: ` ${check.text("continuation")}` };
      return { kind: "word", index, request };
    }
    if (task === "winogrande") {
      const continuation = ` ${check.text("continuation")}`;
      const requests = check.texts("context_options").map((context) => ({ context, continuation }));
      return { kind: "choice", index, requests, gold: check.gold(requests.length) };
    }
    const query = check.text("query");
    const context = answerCue.has(task) ? `${query.trim()}\nAnswer:` : query;
    const choices = check.texts("choices");
    return {
      kind: "choice",
      index,
      requests: choices.map((choice) => ({ context, continuation: ` ${choice}` })),
      bytes: choices.map((choice) => utf8.encode(choice).length),
      gold: check.gold(choices.length),
    };
  });
}

function readLines(text: string, file: string): { row: Row; line: number }[] {
  const rows: { row: Row; line: number }[] = [];
  text.split("\n").forEach((content, i) => {
    if (content.trim() === "") return;
    rows.push({ row: parseJson(content, file, `line ${i + 1}`), line: i + 1 });
  });
  return rows;
}

function readSquad(text: string, file: string): AnswerExample[] {
  const examples: AnswerExample[] = [];
  const top = new Check(parseJson(text, file, undefined), file, "top level");
  for (const article of top.list("data")) {
    const title = article.text("title");
    for (const paragraph of article.list("paragraphs")) {
      const background = paragraph.text("context");
      for (const entry of paragraph.list("qas")) {
        const question = entry.text("question");
        examples.push({
          kind: "answer",
          index: examples.length,
          id: entry.text("id"),
          prompt: `Title: ${title}\n\nBackground: ${background}\n\nQuestion: ${question}\n\nAnswer:`,
          golds: entry.list("answers").map((answer) => answer.text("text")),
        });
      }
    }
  }
  return examples;
}

function parseJson(text: string, file: string, key: string | undefined): Row {
  try {
    return JSON.parse(text) as Row;
  } catch (cause) {
    throw new FormatError("This is not JSON", { file, key }, undefined, { cause });
  }
}

/** Takes fields out of a parsed object, or says what is wrong with them and where. */
class Check {
  readonly #row: Row;
  readonly #file: string;
  readonly #where: string;

  constructor(row: unknown, file: string, where: string) {
    this.#file = file;
    this.#where = where;
    if (typeof row !== "object" || row === null) this.#fail("an object was expected");
    this.#row = row as Row;
  }

  text(field: string): string {
    const value = this.#row[field];
    if (typeof value !== "string" || value === "") this.#fail(`"${field}" is not a text, or an empty one`);
    return value as string;
  }

  texts(field: string): string[] {
    const value = this.#row[field];
    if (!Array.isArray(value) || value.length < 2 || !value.every((item) => typeof item === "string" && item !== ""))
      this.#fail(`"${field}" is not a list of two texts or more`);
    return value as string[];
  }

  gold(choices: number): number {
    const value = this.#row.gold;
    if (!Number.isInteger(value) || (value as number) < 0 || (value as number) >= choices)
      this.#fail(`"gold" is not the index of a choice`);
    return value as number;
  }

  list(field: string): Check[] {
    const value = this.#row[field];
    if (!Array.isArray(value)) this.#fail(`"${field}" is not a list`);
    return (value as unknown[]).map((item, i) => new Check(item, this.#file, `${this.#where}, ${field}[${i}]`));
  }

  #fail(what: string): void {
    throw new FormatError(`Not the data of this task: ${what}`, { file: this.#file, key: this.#where });
  }
}
