// The chat page, end to end, in one browser: node runtime-tests/page.mjs chromium [folder for screenshots]
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { servePage } from "../scripts/web.mjs";
import { until as ask, withBrowser } from "./browsers.mjs";

const root = resolve(fileURLToPath(import.meta.url), "../..");

/** @param base folder with `dist` and `weights`: the repository, or the installed package */
export async function testPage(name, base = root, screenshots = undefined) {
  const { server, url } = await servePage(base);
  const { serve } = await import(pathToFileURL(join(base, "dist/server/index.js")).href);
  const { chatPage } = await import(pathToFileURL(join(base, "dist/server/page.js")).href);
  const api = await serve({ port: 0, models: { story: { source: "embedded" } }, page: chatPage });
  try {
    await withBrowser(name, async (browser) => {
      await alone(await openPage(browser, url, screenshots), server);
      await withServer(await openPage(browser, api.url, screenshots));
    });
  } finally {
    server.closeAllConnections();
    server.close();
    await api.terminate();
    await api.handler.close();
  }
}

/** A page, and what a test does with it. */
async function openPage(browser, url, screenshots) {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
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

/** The page without a server: the model computes in it. */
async function alone(user, server) {
  const { page, until, idle, say, click, set, answers, shot, textOf } = user;
  page.on("dialog", (dialog) => dialog.accept());
  await until(() => document.querySelector("#welcome-story") !== null);
  await shot("welcome");
  await page.focus("#welcome-story");
  await page.keyboard.press("Enter");
  await until(() => document.querySelector("#choose-model").textContent.startsWith("Story model"));

  // Settings of the chat: a seed, a short answer.
  await click("Settings of this chat");
  await until(() => document.querySelector("#settings-panel[open]") !== null);
  await set("#seed", "3");
  await set("#maxTokens", "40");
  await shot("settings");
  await page.keyboard.press("Escape");
  await until(() => !document.querySelector("#settings-panel"));

  await say("Once upon a time");
  await idle();
  const [first] = await answers();
  expect(first.length > 60, `story: ${first}`);
  await shot("story");

  // The same seed gives the same answer: another version of the turn, and the way back.
  await click("Answer again");
  await until(() => document.querySelector(".message.assistant .versions")?.textContent.trim() === "2 of 2");
  await idle();
  expect((await answers())[0] === first, "the same seed gave another answer");
  await click("Version before");
  await until(() => document.querySelector(".message.assistant .versions")?.textContent.trim() === "1 of 2");

  // Going on with an answer that was too long.
  await click("Go on");
  await until(() => document.querySelector(".message.assistant .markdown").textContent.length > 0);
  await idle();
  expect((await answers())[0].length > first.length, "it did not go on");

  // Editing the question begins a branch.
  await click("Edit", "first");
  await until(() => document.querySelector(".editor textarea") !== null);
  await set(".editor textarea", "One day, a dog");
  await page.click(".editor button[type=submit]");
  await until(() => document.querySelector(".said").textContent === "One day, a dog");
  await idle();
  expect((await textOf(".message.user .versions")).trim() === "2 of 2", "no branch");

  // Stopping: the answer stays, and says so.
  await click("Settings of this chat");
  await until(() => document.querySelector("#settings-panel[open]") !== null);
  await set("#maxTokens", "900");
  await page.keyboard.press("Escape");
  await until(() => !document.querySelector("#settings-panel"));
  await page.evaluate(() => {
    // As soon as the button is there: a small model is quick.
    new MutationObserver((_, observer) => {
      const stop = document.querySelector("#stop");
      if (!stop) return;
      observer.disconnect();
      stop.click();
    }).observe(document.body, { childList: true, subtree: true });
  });
  await say("And then");
  await until(() => document.querySelectorAll(".message.assistant").length === 2);
  await idle();
  expect((await textOf(".message:last-child .ended")).includes("stopped"), "a stopped answer does not look it");
  await shot("stopped");

  // A link to an answer, opened anew: computed again, and checked.
  await click("New chat");
  await until(() => document.querySelector(".welcome") !== null);
  await click("Settings of this chat");
  await until(() => document.querySelector("#settings-panel[open]") !== null);
  await set("#maxTokens", "12");
  await set("#seed", "5");
  await page.keyboard.press("Escape");
  await until(() => !document.querySelector("#settings-panel"));
  await say("A cat");
  await idle();
  const link = await page.evaluate(async () => {
    let copied;
    const clipboard = {
      async writeText(text) {
        copied = text;
      },
    };
    Object.defineProperty(navigator, "clipboard", { value: clipboard, configurable: true });
    const button = document.querySelector('button[aria-label="Copy a link to this answer"]');
    if (!button) return "";
    button.click();
    for (let i = 0; i < 50 && !copied; i++) await new Promise((done) => setTimeout(done, 20));
    return copied;
  });
  expect(link.includes("#answer="), `link: ${link}`);
  await page.goto("about:blank");
  await page.goto(link);
  await until(() => document.querySelector(".proof.same") !== null);
  await idle();
  await shot("proof");

  // The list: search, rename, delete; conversations are there after a reload.
  await page.reload();
  await until(() => document.querySelectorAll(".sidebar li").length >= 2);
  await set("#search", "dog");
  await until(() => document.querySelectorAll(".sidebar li").length === 1);
  await click("Rename Once upon a time");
  await until(() => document.querySelector(".sidebar input[name=title]") !== null);
  await set(".sidebar input[name=title]", "The dog");
  await page.evaluate(() => document.querySelector(".sidebar li form").requestSubmit());
  await until(() => document.querySelector(".sidebar li .open").textContent === "The dog");
  await click("The dog");
  await until(() => document.querySelectorAll(".message").length >= 4);
  await click("Delete The dog");
  await set("#search", "");
  await until(() => ![...document.querySelectorAll(".sidebar .open")].some((each) => each.textContent === "The dog"));

  // An imported conversation cannot run anything.
  await page.evaluate((hostile) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([JSON.stringify(hostile)], "chat.json", { type: "application/json" }));
    const input = document.querySelector("#import");
    input.files = transfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }, hostileConversation);
  await until(() => document.querySelectorAll(".message.assistant").length === 8);
  await new Promise((done) => setTimeout(done, 500));
  const harm = await page.evaluate(() => ({
    ran: globalThis.harm,
    elements: document.querySelectorAll(
      ".log script, .log img, .log iframe, .log svg:not(.icon), .log style, .log object",
    ).length,
    handlers: [...document.querySelectorAll(".log *")].filter((element) =>
      [...element.attributes].some(
        ({ name, value }) => name.startsWith("on") || /^\s*(javascript|data|vbscript):/i.test(value),
      ),
    ).length,
  }));
  expect(
    harm.ran === undefined && harm.elements === 0 && harm.handlers === 0,
    `imported text: ${JSON.stringify(harm)}`,
  );
  await shot("hostile");

  // A file that is no model says so and leaves what is loaded.
  await page.evaluate(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["no model"], "<b>wrong</b>.gguf"));
    dispatchEvent(Object.assign(new Event("drop", { cancelable: true }), { dataTransfer: transfer }));
  });
  await until(() => document.querySelector(".problem")?.textContent.includes("GGUF"));

  // A model of one's own is kept: there after a reload, until it is removed.
  await page.evaluate(async () => {
    const answer = await fetch("./engine/story.gguf");
    const transfer = new DataTransfer();
    transfer.items.add(new File([await answer.blob()], "mine.gguf"));
    dispatchEvent(Object.assign(new Event("drop", { cancelable: true }), { dataTransfer: transfer }));
  });
  await until(() => document.querySelector("#choose-model").textContent.startsWith("mine.gguf"));
  await page.reload();
  await until(() => document.querySelector("#choose-model") !== null);
  await page.click("#choose-model");
  await until(() => document.querySelector("#kept button") !== null);
  await shot("kept");
  await page.click("#kept button");
  await until(() => document.querySelector("#choose-model").textContent.includes("mine.gguf"));
  await page.click("#choose-model");
  await until(() => document.querySelector("#kept button:last-child") !== null);
  await page.click("#kept button:last-child");
  await until(() => document.querySelector("#kept") === null);
  await page.keyboard.press("Escape");
  await until(() => document.querySelector("#model-panel") === null);

  // On a phone nothing is wider than the screen, and the list comes out over the page.
  await page.setViewport({ width: 390, height: 844 });
  await until(() => document.querySelector("#open-list")?.offsetParent !== null);
  expect(!(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)), "wider than a phone");
  await shot("phone");
  await page.click("#open-list");
  await until(() => document.querySelector(".sidebar.open") !== null);
  await page.select("#theme", "dark");
  expect((await page.evaluate(() => document.documentElement.dataset.theme)) === "dark", "no dark colours");
  await shot("phone-list");
  await page.setViewport({ width: 1280, height: 800 });

  // Without the network the page still comes.
  await until(async () => (await navigator.serviceWorker.ready).active?.state === "activated");
  server.closeAllConnections();
  server.close();
  await page.reload();
  await until(() => document.querySelector("#prompt") !== null);
  await shot("offline");
  expect(user.errors.length === 0, user.errors.join("\n"));
  await page.close();
}

/** The page that came from a server: the server computes. */
async function withServer(user) {
  const { page, until, idle, say, click, set, answers, shot, textOf } = user;
  await until(() => document.querySelector("#choose-model").textContent.startsWith("story"));
  await click("Settings of this chat");
  await until(() => document.querySelector("#settings-panel[open]") !== null);
  await set("#seed", "3");
  await set("#maxTokens", "30");
  await page.keyboard.press("Escape");
  await until(() => !document.querySelector("#settings-panel"));
  await say("Tell me a story");
  await idle();
  expect((await answers())[0].length > 20, "no answer from the server");
  expect(/tokens/.test(await textOf(".message.assistant .figures")), "no figures");
  await shot("server");
  expect(user.errors.length === 0, user.errors.join("\n"));
  await page.close();
}

const hostileTexts = [
  '<img src=x onerror="globalThis.harm=1">',
  "<script>globalThis.harm=2</script>",
  "[click](javascript:globalThis.harm=3) ![x](javascript:globalThis.harm=4)",
  '<svg><animate onbegin="globalThis.harm=5" attributeName=x dur=1s>',
  "```html\n</code></pre><img src=x onerror=globalThis.harm=6>\n```",
  '$\\href{javascript:globalThis.harm=7}{x}$ $$\\htmlData{a=b}{x}$$ <math><mtext><style><img src=x onerror="globalThis.harm=8">',
  '| a |\n|---|\n| <iframe srcdoc="<script>parent.harm=9</script>"> |',
  '<a href="data:text/html,<script>harm=10</script>">x</a> <form action=javascript:harm=11><input type=submit>',
];
let parent;
const hostileConversation = {
  title: '<img src=x onerror="globalThis.harm=12">',
  messages: hostileTexts.flatMap((text, i) => {
    const asked = { id: `q${i}`, parent, role: "user", text };
    const answered = { id: `a${i}`, parent: `q${i}`, role: "assistant", text };
    parent = `a${i}`;
    return [asked, answered];
  }),
};

function expect(holds, what) {
  if (!holds) throw new Error(`the page: ${what}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await testPage(process.argv[2], root, process.argv[3]);
  console.log("ok");
}
