import { join } from "node:path";
import { DeltaLLMError } from "../../errors.js";
import type { Chat, GenerateOptions, Model } from "../../types.js";
import { formatStats, printable } from "../format.js";
import { inFlags } from "../options.js";
import { Interrupted, type Terminal } from "../terminal.js";
import { writeAnswer } from "./answer.js";
import { type CommandName, completeCommand, helpText, parseRequest } from "./commands.js";
import { Keyboard } from "./keyboard.js";
import { readMessage } from "./prompt.js";
import { addHistory, chatFile, chatNames, readChatFile, readHistory, replaceFile, stateFolder } from "./state.js";

/** How the conversation is held. */
export interface InteractiveOptions {
  generate: GenerateOptions & { seed: number };
  /** The first system prompt. */
  system: string | undefined;
  /** Name the chat was resumed by. */
  name: string | undefined;
  /** Remember messages for the next run. */
  history: boolean;
}

/** A conversation with a person at a terminal. */
export class InteractiveChat {
  readonly #terminal: Terminal;
  readonly #model: Model;
  readonly #options: InteractiveOptions;
  readonly #historyFile: string | undefined;
  #chat: Chat;
  #name: string | undefined;
  #system: string | undefined;
  #history: string[] = [];
  /** Text the next prompt begins with, and whether it replaces the last message. */
  #draft = "";
  #editing = false;
  /** Answers asked for once more: each has a seed of its own. */
  #again = 0;
  /** Ctrl-C came since the line was taken, perhaps before the answer began. */
  #stopped = false;

  constructor(terminal: Terminal, model: Model, chat: Chat, options: InteractiveOptions) {
    this.#terminal = terminal;
    this.#model = model;
    this.#chat = chat;
    this.#options = options;
    this.#name = options.name;
    this.#system = options.system;
    const folder = options.history ? stateFolder(terminal.host.env) : undefined;
    this.#historyFile = folder && join(folder, "history");
  }

  /** Asks and answers until the user leaves. */
  async run(): Promise<void> {
    this.#history = await readHistory(this.#historyFile);
    await this.#say("/help lists the commands. Ctrl-C stops an answer, Ctrl-D ends the chat.");
    const keyboard = new Keyboard(this.#terminal);
    try {
      while (true) {
        const text = this.#draft;
        this.#draft = "";
        const line = await readMessage(this.#terminal, keyboard, {
          history: this.#history,
          complete: completeCommand,
          text,
        });
        if (line === undefined) break;
        if (!(await this.#guarded(keyboard, () => this.#take(line)))) break;
      }
    } finally {
      keyboard.close();
      await this.#keep(true).catch((error: Error) => this.#say(error.message));
      await this.#chat.dispose();
    }
  }

  /** Runs a step that Ctrl-C stops and whose errors do not end the chat; false to leave. */
  async #guarded(keyboard: Keyboard, step: () => Promise<boolean>): Promise<boolean> {
    this.#stopped = false;
    keyboard.listenForInterrupt(() => {
      this.#stopped = true;
      this.#terminal.interrupt();
    });
    try {
      return await step();
    } catch (error) {
      if (error instanceof Interrupted) return true;
      if (!(error instanceof DeltaLLMError) || this.#terminal.signal.aborted) throw error;
      await this.#say(inFlags(error.message));
      return true;
    } finally {
      keyboard.listenForInterrupt(undefined);
    }
  }

  async #take(line: string): Promise<boolean> {
    const editing = this.#editing;
    this.#editing = false;
    if (line.trim() === "") return true;
    const request = parseRequest(line);
    if (request.kind === "unknown") await this.#say(`There is no ${request.name}. /help lists the commands.`);
    else if (request.kind === "command") return this.#command(request.name, request.argument);
    else {
      await this.#remember(line);
      if (editing) await this.#edit(request.text);
      else await this.#answer((options) => this.#chat.send(request.text, options));
    }
    return true;
  }

  async #command(name: CommandName, argument: string): Promise<boolean> {
    const { env } = this.#terminal.host;
    if (name === "exit") return false;
    if (name === "help") await this.#say(helpText());
    else if (name === "stats")
      await this.#say(formatStats(this.#model.stats(), [["seed", String(this.#options.generate.seed)]]));
    else if (name === "clear") await this.#clear();
    else if (name === "system") await this.#setSystem(argument);
    else if (name === "save") {
      if (argument === "") await this.#say("Give it a name: /save NAME");
      else {
        chatFile(env, argument);
        await replaceFile(chatFile(env, argument), await this.#chat.save());
        this.#name = argument;
        await this.#say(`Kept. Go on another day with: deltallm chat --resume ${JSON.stringify(argument)}`);
      }
    } else if (name === "load") await this.#load(argument);
    else if (name === "regenerate") await this.#regenerate();
    else if (name === "edit") {
      const last = this.#lastQuestion();
      if (last < 0) await this.#say("There is no message to edit.");
      else if (argument) await this.#edit(argument);
      else {
        this.#draft = this.#chat.messages[last]?.content ?? "";
        this.#editing = true;
      }
    }
    return true;
  }

  async #clear(): Promise<void> {
    await this.#keep(true);
    this.#name = undefined;
    await this.#chat.dispose();
    this.#chat = this.#model.createChat({ system: this.#system });
    await this.#say("A new conversation.");
  }

  async #setSystem(argument: string): Promise<void> {
    const shown = () => this.#chat.messages.find(({ role }) => role === "system")?.content;
    if (argument !== "") {
      this.#system = argument === "-" ? undefined : argument;
      await this.#chat.setSystem(this.#system);
    }
    await this.#say(shown() ? `System prompt: ${shown()}` : "There is no system prompt.");
  }

  async #load(name: string): Promise<void> {
    if (name === "") {
      const names = await chatNames(this.#terminal.host.env);
      return this.#say(names.length > 0 ? names.sort().join("\n") : "No chat is kept yet. /save NAME keeps this one.");
    }
    await this.#chat.restore(await readChatFile(this.#terminal.host.env, name));
    this.#name = name;
    const { messages } = this.#chat;
    this.#system = messages.find(({ role }) => role === "system")?.content ?? undefined;
    await this.#say(`${messages.length} messages`);
    const last = messages.at(-1);
    if (last?.content) await this.#say(`${last.role}: ${last.content}`);
  }

  async #edit(text: string): Promise<void> {
    await this.#chat.edit(this.#lastQuestion(), text);
    await this.#answer((options) => this.#chat.regenerate(options));
  }

  async #regenerate(): Promise<void> {
    if (this.#options.generate.temperature === 0) await this.#say("At --temperature 0 the answer is always the same.");
    this.#again++;
    const seed = (this.#options.generate.seed + this.#again) % Number.MAX_SAFE_INTEGER;
    await this.#answer((options) => this.#chat.regenerate({ ...options, seed }));
  }

  async #answer(ask: Parameters<typeof writeAnswer>[2]): Promise<void> {
    const begin: typeof ask = (options) => {
      if (this.#stopped) this.#terminal.interrupt();
      return ask(options);
    };
    await writeAnswer(this.#terminal, this.#model, begin, this.#options.generate, { interactive: true });
    await this.#keep(false);
  }

  /** Brings the kept chat up to date. @param computed with what was computed, so that loading it is quick */
  async #keep(computed: boolean): Promise<void> {
    if (this.#name === undefined) return;
    await replaceFile(chatFile(this.#terminal.host.env, this.#name), await this.#chat.save({ computed }));
  }

  #lastQuestion(): number {
    return this.#chat.messages.findLastIndex(({ role }) => role === "user");
  }

  async #remember(line: string): Promise<void> {
    if (this.#history.at(-1) !== line) this.#history.push(line);
    // A history that cannot be written is no reason to end a conversation.
    if (this.#historyFile) await addHistory(this.#historyFile, line).catch(() => undefined);
  }

  #say(text: string): Promise<void> {
    return this.#terminal.line(this.#terminal.style("dim", printable(text)));
  }
}
