import { hostileConversation } from "./hostile.mjs";
import { expect, importFile } from "./user.mjs";

/** The page without a server: the model computes in it. */
export async function alone(user, server) {
  const { page, until, idle, say, click, set, settings, answers, shot, textOf } = user;
  await until(() => document.querySelector("#welcome-story") !== null);
  await shot("welcome");
  await page.focus("#welcome-story");
  await page.keyboard.press("Enter");
  await until(() => document.querySelector("#choose-model").textContent.startsWith("Story model"));

  // Settings of the chat: a seed, a short answer.
  await settings(async () => {
    await set("#seed", "3");
    await set("#maxTokens", "40");
    await shot("settings");
  });

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
  await settings(async () => {
    await set("#maxTokens", "900");
  });
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
  await settings(async () => {
    await set("#maxTokens", "12");
    await set("#seed", "5");
  });
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
  await importFile(page, "chat.json", JSON.stringify(hostileConversation));
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
