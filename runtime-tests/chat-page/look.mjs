import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, importFile } from "./user.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const sizes = { phone: [390, 844], tablet: [820, 1180], desktop: [1280, 800], wide: [1920, 1080] };

/** Every view at every size, light and dark: nothing is cut off, and axe finds nothing serious. */
export async function look(user) {
  const { page, until, click, shot, textOf } = user;
  await until(() => document.querySelector("#welcome-story") !== null);
  await page.evaluate(axe);
  await importFile(page, "all.json", JSON.stringify(formatted));
  await until(() => document.querySelectorAll(".message").length === 4);
  // Colours of code and formulas come with parts of the page that are fetched only now.
  await until(
    () =>
      document.querySelectorAll(".hljs-keyword").length > 0 && document.querySelectorAll(".formula math").length === 2,
  );
  expect((await textOf(".markdown pre code")).includes("def add"), "the code is gone");
  for (const theme of ["light", "dark"]) {
    await page.select("#theme", theme);
    for (const [size, [width, height]] of Object.entries(sizes)) {
      await page.setViewport({ width, height });
      const view = `${size}-${theme}`;
      await check(page, view);
      await shot(`${view}-conversation`);
      for (const [button, panel, what] of [
        ["#open-settings", "#settings-panel", "settings"],
        ["#choose-model", "#model-panel", "model"],
      ]) {
        await page.click(button);
        await until(`document.querySelector("${panel}[open]") !== null`);
        await check(page, `${view}, ${what}`);
        await shot(`${view}-${what}`);
        await page.keyboard.press("Escape");
        await until(`document.querySelector("${panel}") === null`);
      }
      if (width > 800) continue;
      await page.click("#open-list");
      await until(() => document.querySelector(".sidebar.open") !== null);
      await check(page, `${view}, list`);
      await shot(`${view}-list`);
      await click("Close the list");
      await until(() => document.querySelector(".sidebar.open") === null);
    }
  }
  await page.setViewport({ width: 1280, height: 800 });
  await click("New chat");
  await until(() => document.querySelector(".welcome") !== null);
  await check(page, "welcome");
  await page.select("#theme", "system");
  await click("Delete Add two numbers");
  await until(() => document.querySelectorAll(".sidebar li").length === 0);
  expect(user.errors.length === 0, user.errors.join("\n"));
  await page.close();
}

async function check(page, view) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  expect(!overflow, `${view}: wider than the screen`);
  // What fades in is looked at when it is there.
  await new Promise((done) => setTimeout(done, 250));
  const found = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(
        ({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html} ${failureSummary}`)}`,
      );
  });
  expect(found.length === 0, `${view}: ${found.join("\n")}`);
}

const code =
  '```python\ndef add(a: int, b: int) -> int:\n    """Adds two numbers."""\n    return a + b  # 1 + 2 = 3\n```';
/** One of everything an answer may hold. */
const formatted = {
  title: "Add two numbers",
  messages: [
    { id: "1", role: "user", text: "Write a function that adds two numbers." },
    {
      id: "2",
      parent: "1",
      role: "assistant",
      text: `Here it is:\n\n${code}\n\n- \`add(1, 2)\` gives **3**\n- a [link](https://example.org)\n\n> A quotation.`,
    },
    { id: "3", parent: "2", role: "user", text: "And as a formula? With a table, please." },
    {
      id: "4",
      parent: "3",
      role: "assistant",
      text: "$$s = \\sum_{i=1}^{n} a_i$$\n\nwhere $a_i$ are the numbers.\n\n| a | b | sum |\n|--:|--:|--:|\n| 1 | 2 | 3 |\n| 10 | 20 | 30 |",
    },
  ],
};
