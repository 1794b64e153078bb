import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { completeCommand, parseRequest } from "#src/cli/chat/commands.js";
import { KeyDecoder } from "#src/cli/chat/keys.js";
import { Line } from "#src/cli/chat/line.js";
import { layout } from "#src/cli/chat/screen.js";
import { chatFile } from "#src/cli/chat/state.js";
import { textWidth } from "#src/cli/chat/width.js";
import { WordWrap } from "#src/cli/chat/wrap.js";
import { ProgressBar } from "#src/cli/progress.js";
import type { Terminal } from "#src/cli/terminal.js";
import { freshHome, hasPty, runInPty } from "../helpers/pty.js";

const texts = [
  "Once upon a time, there was a little girl named Lily.\n\nShe",
  "你好，世界。我喜欢读书",
  "e\u0301 👩‍👩‍👧 ok",
];

test("wrapped text keeps its words and fits any width, however it is cut into pieces", () => {
  for (const text of texts)
    for (const columns of [2, 7, 40, 80])
      for (const size of [1, 3, 100]) {
        const wrap = new WordWrap(() => columns);
        let out = "";
        for (let i = 0; i < text.length; i += size) out += wrap.push(text.slice(i, i + size));
        out += wrap.end();
        for (const line of out.split("\n")) assert.ok(textWidth(line) <= columns, JSON.stringify([line, columns]));
        assert.is(out.replace(/\s/g, ""), text.replace(/\s/g, ""));
      }
});

test("words are not cut where they fit a line", () => {
  const wrap = new WordWrap(() => 10);
  assert.is(wrap.push("hello big world") + wrap.end(), "hello big\nworld");
});

test("keys are decoded wherever their bytes are cut", () => {
  const sent = "a\x1b[A\x1b[200~x\ry\x1b[201~\x1b[1;5D\r\x03\x1bb\x1bOH";
  const whole = new KeyDecoder().push(sent);
  assert.equal(
    whole.map((key) => (key.kind === "key" ? key.name : key.text)),
    ["a", "up", "x\ry", "ctrl-left", "enter", "ctrl-c", "alt-b", "home"],
  );
  const decoder = new KeyDecoder();
  assert.equal(
    [...sent].flatMap((char) => decoder.push(char)),
    whole,
  );
});

test("the line moves and deletes by characters as readers see them, and by words", () => {
  const line = new Line();
  line.insert("one 👩‍👩‍👧");
  line.press("backspace");
  assert.is(line.text, "one ");
  line.insert("two\nthree");
  line.press("ctrl-left");
  line.press("ctrl-w");
  assert.is(line.text, "one three");
  line.press("ctrl-y");
  assert.is(line.text, "one two\nthree");
  assert.ok(line.vertical(-1) === false || line.cursor <= 4);
});

test("the cursor of a long line is where its character is", () => {
  assert.equal(layout({ text: "abcdef", cursor: 4 }, 4), { rows: ["abcd", "ef"], row: 1, column: 0 });
  assert.equal(layout({ text: "a\n好好b", cursor: 4 }, 4), { rows: ["a", "好好", "b"], row: 2, column: 0 });
});

test("commands begin with a slash and a word; everything else is a message", () => {
  assert.equal(parseRequest("/save my chat"), { kind: "command", name: "save", argument: "my chat" });
  assert.equal(parseRequest("/quit"), { kind: "command", name: "exit", argument: "" });
  assert.equal(parseRequest("/what"), { kind: "unknown", name: "/what" });
  assert.equal(parseRequest("//what"), { kind: "message", text: "/what" });
  assert.equal(parseRequest("/usr/bin is a folder"), { kind: "message", text: "/usr/bin is a folder" });
  assert.is(completeCommand("/reg"), "/regenerate");
  assert.is(completeCommand("/s"), "/s");
  assert.is(completeCommand("hello"), "hello");
});

test("the name of a chat cannot lead out of its folder", () => {
  const env = { HOME: "/home/me" };
  for (const name of ["../x", "a/b", ".x", "", "a\\b"]) assert.throws(() => chatFile(env, name), /name of a chat/);
  assert.match(chatFile(env, "trip to 北京"), /trip to 北京\.chat$/);
});

test("progress is one line on the narrowest terminal", () => {
  for (const columns of [8, 20, 40, 50, 80]) {
    let [now, written] = [0, ""];
    const stderr = { isTTY: true, columns, write: (text: string) => (written += text) };
    const bar = new ProgressBar({ host: { stderr } } as unknown as Terminal, () => now);
    now = 2000;
    bar.update({ phase: "weights", fraction: 0.5, bytes: 1234e6 });
    const line = written.replace("\r", "").replace("\x1b[K", "");
    assert.match(line, /50 %/);
    assert.ok(line.length < columns, line);
  }
});

if (hasPty) {
  const args = ["chat", "-n", "12", "--seed", "3", "--threads", "1"];
  const historyOf = (home: string) =>
    readFileSync(join(home, ".local/state/deltallm/history"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as string);

  test("a paste of 100 lines is one message, at every width; history keeps it for the next run", () => {
    const pasted = Array.from({ length: 100 }, (_, i) => `line ${i} 你好 é`).join("\r");
    for (const columns of [40, 200]) {
      const home = freshHome();
      const { code, missing } = runInPty(
        args,
        [
          { wait: "> ", send: `\x1b[200~${pasted}\x1b[201~` },
          { pause: 0.3, resize: [columns + 20, 10] },
          { pause: 0.2, send: "\r" },
          { wait: "left", send: "/exit\r" },
        ],
        { columns, home },
      );
      assert.is(missing, "");
      assert.is(code, 0);
      assert.equal(historyOf(home), [pasted.replaceAll("\r", "\n")]);
      const again = runInPty(
        args,
        [
          { wait: "> ", send: "\x1b[A" },
          { wait: "line 99", send: "\x03" },
          { pause: 0.2, send: "\x03" },
        ],
        { home },
      );
      assert.is(again.missing, "");
      assert.is(again.code, 0);
    }
  });

  test("Ctrl-C stops an answer without an echo, clears a line, and leaves on an empty one; keys typed meanwhile wait", () => {
    const { output, code, missing } = runInPty(
      ["chat", "--seed", "3", "--threads", "1", "--temperature", "2", "-n", "100000", "--context-overflow", "shift"],
      [
        { wait: "> ", send: "Once upon a time\r" },
        { wait: "Once upon a time" },
        { pause: 0.5, send: "typed 你\x03" },
        { wait: "stopped" },
        { wait: "typed 你", send: "\x03" },
        { pause: 0.3, send: "\x03" },
      ],
    );
    assert.is(missing, "");
    assert.is(code, 0);
    assert.not.match(output, /\^C/);
    const answer = output.slice(output.indexOf("Once upon a time"), output.indexOf("stopped"));
    assert.not.match(answer, /typed/);
    assert.ok(output.includes("\x1b[?2004h") && output.includes("\x1b[?2004l"));
  });

  test("answers are wrapped to the terminal; chats are kept, edited and resumed by name", () => {
    const home = freshHome();
    const { output, missing, code } = runInPty(
      ["chat", "-n", "60", ...args.slice(3)],
      [
        { wait: "> ", send: "Once upon a time\r" },
        { wait: "left" },
        { wait: "> ", send: "/save story\r" },
        { wait: "Kept" },
        { wait: "> ", send: "/edit\r" },
        { wait: "> Once upon a time", send: " there was\r" },
        { wait: "left" },
        { wait: "> ", send: "/regenerate\r" },
        { wait: "left" },
        { wait: "> ", send: "\x04" },
      ],
      { columns: 40, home },
    );
    assert.is(missing, "");
    assert.is(code, 0);
    const answer = output.slice(output.indexOf("time\x1b[18C"), output.indexOf("60 tokens"));
    for (const line of answer.split("\r\n").slice(1)) assert.ok(line.length < 40, line);
    const resumed = runInPty(
      [...args, "--resume", "story"],
      [
        { wait: "> ", send: "\x1b[A\x1b[A" },
        { wait: "Once", send: "\x03" },
        { pause: 0.2, send: "/stats\r" },
        { wait: "seed", send: "/nope\r" },
        { wait: "There is no /nope" },
        { wait: "> ", send: "/exit\r" },
      ],
      { home },
    );
    assert.is(resumed.missing, "");
    assert.is(resumed.code, 0);
    assert.match(runInPty([...args, "--resume", "other"], [], { home }).output, /There is no chat "other".*story/s);
  });

  test("Ctrl-C at any moment of a turn leaves a prompt that works, and a terminal as it was", () => {
    const busy = ["chat", "--seed", "3", "--threads", "1", "--temperature", "2", "-n", "100000"];
    for (const pause of [0, 0.005, 0.02, 0.1, 0.3]) {
      const { output, missing, code } = runInPty(busy, [
        { wait: "> ", send: "Once upon a time\r" },
        { pause, send: "\x03" },
        { pause: 0.3, send: "\x15/help\r" },
        { wait: "this list" },
        { wait: "> ", send: "\x04" },
      ]);
      assert.is(missing, "", `after ${pause} s`);
      assert.is(code, 0);
      assert.ok(output.trimEnd().endsWith("\x1b[?2004l"));
    }
  });

  test("SIGTERM gives the terminal back", () => {
    const { output, missing } = runInPty(args, [{ wait: "> ", signal: 15 }], { timeout: 10 });
    assert.is(missing, "");
    assert.ok(output.trimEnd().endsWith("\x1b[?2004l"));
  });

  test("answers in the terminal follow --schema", () => {
    const home = freshHome();
    const file = join(home, "schema.json");
    writeFileSync(file, JSON.stringify({ enum: ["yes", "no"] }));
    const { output, missing } = runInPty(
      [...args, "--schema", file],
      [{ wait: "> ", send: "Is it so?\r" }, { wait: "left" }, { wait: "> ", send: "/exit\r" }],
      { home },
    );
    assert.is(missing, "");
    assert.match(output, /\r\n"(yes|no)"\r\n/);
  });
}

test.run();
