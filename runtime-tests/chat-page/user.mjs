// A page, and what a user does in it.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until as ask } from "../browsers.mjs";

export async function openPage(browser, url, screenshots) {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  // Deleting asks first.
  page.on("dialog", (dialog) => dialog.accept());
  await page.setViewport({ width: 1280, height: 800 });
  await page.goto(`${url}/`);
  const user = {
    page,
    url,
    errors,
    textOf: (selector) => page.$eval(selector, (element) => element.textContent),
    until: (question) =>
      ask(page, question).catch(async (cause) => {
        const state = await page.evaluate(() => document.body.innerText.slice(0, 500)).catch(String);
        throw new Error(`${question} did not happen; ${state} ${errors.join("; ")}`, { cause });
      }),
    idle: () => user.until(() => document.querySelector("#send") !== null && !document.querySelector(".thinking")),
    say: async (text) => {
      await page.focus("#prompt");
      await page.keyboard.type(text);
      await page.keyboard.press("Enter");
    },
    /** Clicks by the name a screen reader would say. */
    click: (label, which = "last") =>
      page.evaluate(
        (name, place) => {
          const found = [...document.querySelectorAll("button")].filter(
            (button) => (button.getAttribute("aria-label") ?? button.textContent).trim() === name && !button.disabled,
          );
          const button = place === "last" ? found.at(-1) : found[0];
          if (!button) throw new Error(`no button ${name}`);
          button.click();
        },
        label,
        which,
      ),
    set: (selector, value) =>
      page.$eval(
        selector,
        (element, to) => {
          const prototype = Object.getPrototypeOf(element);
          Object.getOwnPropertyDescriptor(prototype, "value").set.call(element, to);
          element.dispatchEvent(new Event("input", { bubbles: true }));
          element.dispatchEvent(new Event("change", { bubbles: true }));
        },
        value,
      ),
    /** Opens the settings of the chat, changes them, closes them. */
    settings: async (change) => {
      await user.click("Settings of this chat");
      await user.until(() => document.querySelector("#settings-panel[open]") !== null);
      await change();
      await page.keyboard.press("Escape");
      await user.until(() => !document.querySelector("#settings-panel"));
    },
    answers: () =>
      page.$$eval(".message.assistant .markdown", (all) => all.map((element) => element.textContent.trim())),
    shot: async (what) => {
      if (!screenshots) return;
      mkdirSync(screenshots, { recursive: true });
      writeFileSync(join(screenshots, `${what}.png`), await page.screenshot());
    },
  };
  return user;
}

export function expect(holds, what) {
  if (!holds) throw new Error(`the page: ${what}`);
}

/** Gives the page a file of conversations, as if chosen. */
export function importFile(page, name, text) {
  return page.evaluate(
    (fileName, content) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([content], fileName, { type: "application/json" }));
      const input = document.querySelector("#import");
      input.files = transfer.files;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    },
    name,
    text,
  );
}
