// The picture of the chat page in the README: node scripts/screenshot.mjs MODEL [--dark]. Writes docs/page.webp.
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "../dist/server/index.js";
import { chatPage } from "../dist/server/page.js";
import { withBrowser } from "../runtime-tests/browsers.mjs";
import { openPage } from "../runtime-tests/chat-page/user.mjs";

const root = resolve(fileURLToPath(import.meta.url), "../..");
const [source, dark] = process.argv.slice(2);
if (!source) throw new Error("node scripts/screenshot.mjs MODEL: a name or a file");
const questions = ["What is gravity? Answer in two sentences.", "Write a Python function that adds two numbers."];

const api = await serve({ port: 0, models: { "smollm2-135m": { source } }, page: chatPage });
try {
  await withBrowser("chromium", async (browser) => {
    const { page, until, idle, say, set, settings } = await openPage(browser, api.url);
    await page.setViewport({ width: 1100, height: 720 });
    await until(() => document.querySelector("#choose-model").textContent.startsWith("smollm2"));
    await page.select("#theme", dark ? "dark" : "light");
    await settings(async () => {
      await set("#temperature", "0");
      await set("#maxTokens", "160");
    });
    for (const question of questions) {
      await say(question);
      await until(() => document.querySelector("#prompt").value === "");
      await idle();
    }
    const problem = await page.evaluate(() => document.querySelector(".problem")?.textContent);
    if (problem) throw new Error(problem);
    // The notice about the model goes.
    await new Promise((done) => setTimeout(done, 4500));
    writeFileSync(join(root, "docs/page.webp"), await page.screenshot({ type: "webp", quality: 60 }));
  });
} finally {
  await api.terminate();
  await api.handler.close();
}
