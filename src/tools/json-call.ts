/** Told about a call while it is written. */
export interface CallReader {
  name(name: string): void;
  /** More of the arguments' JSON text. */
  arguments(text: string): void;
}

/** Reads one object `{"name": …, "arguments": …}` character by character; the arguments may be called `parameters`. */
export class JsonCall {
  /** The object is complete. */
  done = false;
  readonly #reader: CallReader;
  #phase: "start" | "key" | "colon" | "value" = "start";
  #key = "";
  #raw = "";
  #depth = 0;
  #inString = false;
  #escaped = false;
  #named = false;
  /** Arguments that came before the name. */
  #early = "";

  constructor(reader: CallReader) {
    this.#reader = reader;
  }

  push(character: string): void {
    switch (this.#phase) {
      case "start":
        if (character === "{") this.#phase = "key";
        return;
      case "key":
        if (this.#raw === "" && character === "}") this.done = true;
        else if (this.#raw !== "" || character === '"') this.#inKey(character);
        return;
      case "colon":
        if (character === ":") this.#phase = "value";
        return;
      case "value":
        this.#inValue(character);
    }
  }

  #inKey(character: string): void {
    this.#raw += character;
    if (!this.#isEndOfString(character)) return;
    this.#key = String(parsed(this.#raw));
    this.#raw = "";
    this.#phase = "colon";
  }

  #inValue(character: string): void {
    if (this.#raw === "" && /\s/.test(character)) return;
    const first = this.#raw === "" ? character : this.#raw[0]!;
    const container = first === "{" || first === "[";
    if (!container && first !== '"' && (character === "," || character === "}")) {
      this.#endValue();
      this.done = character === "}";
      return;
    }
    this.#raw += character;
    if (container && this.#isArguments()) this.#arguments(character);
    if (this.#inString || character === '"') {
      if (this.#isEndOfString(character) && !container) this.#endValue();
    } else if (character === "{" || character === "[") this.#depth++;
    else if ((character === "}" || character === "]") && --this.#depth === 0) this.#endValue();
  }

  /** Follows a string; true with the quote that closes it. */
  #isEndOfString(character: string): boolean {
    if (!this.#inString) {
      this.#inString = character === '"';
      return false;
    }
    if (this.#escaped) this.#escaped = false;
    else if (character === "\\") this.#escaped = true;
    else if (character === '"') {
      this.#inString = false;
      return true;
    }
    return false;
  }

  #endValue(): void {
    const value = parsed(this.#raw);
    if (this.#key === "name") {
      this.#named = true;
      this.#reader.name(String(value));
      if (this.#early) this.#reader.arguments(this.#early);
    } else if (this.#isArguments() && !/^[{[]/.test(this.#raw)) {
      // Some write the arguments as a text that is JSON.
      this.#arguments(typeof value === "string" ? value : "{}");
    }
    this.#raw = "";
    this.#phase = "key";
  }

  #isArguments(): boolean {
    return this.#key === "arguments" || this.#key === "parameters";
  }

  #arguments(text: string): void {
    if (this.#named) this.#reader.arguments(text);
    else this.#early += text;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
