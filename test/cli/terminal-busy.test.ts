import { test } from "uvu";
import * as assert from "uvu/assert";
import { shared } from "../helpers/fixtures.js";
import { hasPty, runInPty } from "../helpers/pty.js";

// What is typed while nobody reads: while the program starts, a model loads, or a long message is read.

const chat = ["chat", "-n", "8", "--seed", "3", "--threads", "1"];
const large = hasPty ? shared("models", "SmolLM2-135M-Instruct.Q4_1.gguf") : undefined;
const models = [[], ...(large ? [["-m", large]] : [])];
/** s after the start. */
const moments = [0.15, 0.3, 0.45, 0.6, 0.8];

if (hasPty) {
  for (const model of models) {
    const name = model.length ? "SmolLM2" : "the model in the package";

    test(`Ctrl-C at any moment while ${name} loads ends the program, and the terminal is as it was`, () => {
      for (const pause of moments) {
        // At the prompt, where loading was quicker, it leaves too.
        const { output, code } = runInPty([...chat, ...model], [{ pause, send: "\x03" }]);
        assert.ok([130, -2, 0].includes(code), `${code} after ${pause} s`);
        assert.is(output.split("\x1b[?2004h").length, output.split("\x1b[?2004l").length, `${pause} s`);
        assert.not.match(output, /Error|\bat .*\.js/);
      }
    });

    test(`keys typed at any moment while ${name} loads stand in the prompt, whole`, () => {
      for (const pause of moments.filter((_, index) => index % 2 === 0)) {
        const steps = [
          { pause, send: "Good day 你" },
          { pause: 0.1, send: "é!" },
          { wait: "> Good day 你é!", send: "\r" },
          { wait: "left" },
          { wait: "> ", send: "/exit\r" },
        ];
        const { missing, code } = runInPty([...chat, ...model], steps);
        assert.is(missing, "", `after ${pause} s`);
        assert.is(code, 0);
      }
    });
  }

  if (large)
    test("Ctrl-C at any moment while a long message is read stops it; keys typed meanwhile wait; the chat goes on", () => {
      const lines = Array.from({ length: 100 }, (_, i) => `In line ${i} of this text there is 你好 and é, and more.`);
      for (const pause of [0, 0.2, 1]) {
        const { output, missing, code } = runInPty(
          [...chat, "-m", large],
          [
            { wait: "> ", send: `\x1b[200~${lines.join("\r")}\x1b[201~` },
            { wait: "line 99" },
            { pause: 0.3, send: "\r" },
            { pause, send: "typed 你" },
            { pause: 0.1, send: "\x03" },
            { wait: "> typed 你", send: "\x15/help\r" },
            { wait: "this list" },
            { wait: "> ", send: "Hello\r" },
            { wait: "left" },
            { wait: "> ", send: "\x04" },
          ],
          { timeout: 60 },
        );
        assert.is(missing, "", `after ${pause} s`);
        assert.is(code, 0);
        assert.ok(output.trimEnd().endsWith("\x1b[?2004l"));
      }
    });
}

test.run();
