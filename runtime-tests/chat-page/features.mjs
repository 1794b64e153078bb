import { expect, importFile } from "./user.mjs";

/** What one may do beside talking: JSON, delta attention with its picture, another model, keys, export, links. */
export async function features(user) {
  const { page, url, until, idle, say, click, set, settings, answers, shot, textOf } = user;
  await until(() => document.querySelector("#welcome-story") !== null);

  // A model by its address, with what comes of it; a conversation stays with its model.
  await page.click("#choose-model");
  await until(() => document.querySelector("#model-address") !== null);
  expect(
    (await page.$$eval("#short-names option", (all) => all.map(({ value }) => value))).includes("smollm2-135m"),
    "no names to choose from",
  );
  await set("#model-address", `${url}/engine/story.gguf`);
  await page.evaluate(() => document.querySelector("#model-address").form.requestSubmit());
  await until(() => document.querySelector("#choose-model").textContent.startsWith("story.gguf"));
  await until(() => document.querySelector("#model-panel") === null);

  // JSON: whatever the model writes is an object.
  await settings(async () => {
    await set("#maxTokens", "300");
    await set("#temperature", "2");
    await set("#seed", "4");
    await page.click("#json");
  });
  await say("A dog");
  await idle();
  expect(typeof JSON.parse((await answers())[0]) === "object", `not JSON: ${(await answers())[0]}`);

  // Delta attention on a model that was never calibrated: measured here, with progress; then kept.
  await page.click("#choose-model");
  await until(() => document.querySelector("#delta") !== null);
  await page.click("#delta");
  await until(() => document.querySelector(".loading progress") !== null);
  await until(() => document.querySelector("#delta")?.checked && document.querySelector(".loading") === null);
  expect((await answers()).length === 1, "the conversation went with an option");
  const measured = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const asked = indexedDB.open("deltallm");
        asked.onsuccess = () => {
          const count = asked.result.transaction("calibrations").objectStore("calibrations").count();
          count.onsuccess = () => resolve(count.result);
        };
      }),
  );
  expect(measured === 1, `${measured} calibrations are kept`);
  await page.keyboard.press("Escape");
  await until(() => document.querySelector("#model-panel") === null);
  await click("New chat");
  await settings(async () => {
    await page.click("#json");
    await set("#maxTokens", "500");
    await set("#temperature", "0.8");
  });
  await say("Once upon a time");
  await idle();
  await page.click("#choose-model");
  await until(() => /\d+ % changes kept/.test(document.querySelector(".attention-picture")?.textContent ?? ""));
  await page.$eval(".attention-picture", (element) => element.scrollIntoView());
  await shot("delta");
  expect((await colours(page)) === 1, "delta attention alone is not drawn in one colour");
  // Selection beside it needs no other measuring, and both are drawn.
  await page.click("#select");
  await until(() => document.querySelector("#select")?.checked && document.querySelector(".loading") === null);
  await page.keyboard.press("Escape");
  await until(() => document.querySelector("#model-panel") === null);
  // The first 64 tokens and the newest are always read: it takes a long chat.
  await say("The dog ran to the park and saw a big red ball. ".repeat(30));
  await idle();
  await page.click("#choose-model");
  await until(() => document.querySelectorAll(".attention-picture li").length === 2);
  const legend = await page.$$eval(".attention-picture li", (all) => all.map(({ textContent }) => textContent.trim()));
  const [read, skimmed] = /^(\d+) % read in full +(\d+) % skimmed$/.exec(legend[0])?.slice(1).map(Number) ?? [];
  expect(Math.abs(read + skimmed - 100) <= 1 && skimmed > 0, `what was read: ${legend[0]}`);
  expect(/^\d+ % changes kept +\d+ % left out$/.test(legend[1]), `what was kept: ${legend[1]}`);
  expect((await colours(page)) === 2, "reading and keeping are not drawn in two colours");
  expect(
    (await page.$eval(".attention-picture canvas", (canvas) => canvas.ariaLabel)).includes(`${read} % of the earlier`),
    "the picture does not say what it shows",
  );
  await page.$eval(".attention-picture", (element) => element.scrollIntoView());
  await shot("selection");
  await page.keyboard.press("Escape");
  await until(() => document.querySelector("#model-panel") === null);

  // Another model begins another conversation, and says so.
  await page.click("#choose-model");
  await until(() => document.querySelector("#load-story") !== null);
  await page.click("#load-story");
  await until(() => document.querySelector("#choose-model").textContent.startsWith("Story model"));
  await until(() => document.querySelector(".notice")?.textContent.includes("A new chat with Story model"));
  expect((await answers()).length === 0, "the conversation went on with another model");

  // Keys: to the search, to a new chat; Escape ends an answer.
  await page.keyboard.down("Control");
  await page.keyboard.press("k");
  await page.keyboard.up("Control");
  expect((await page.evaluate(() => document.activeElement.id)) === "search", "Ctrl-K does not search");
  await settings(() => set("#maxTokens", "900"));
  await page.evaluate(() => {
    new MutationObserver((_, observer) => {
      if (!document.querySelector("#stop")) return;
      observer.disconnect();
      document.querySelector("#prompt").dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    }).observe(document.body, { childList: true, subtree: true });
  });
  await say("The sun");
  await until(() => document.querySelector(".ended")?.textContent.includes("stopped"));

  // What is exported can be imported again.
  const exported = await page.evaluate(async () => {
    let blob;
    const { createObjectURL } = URL;
    URL.createObjectURL = (value) => {
      blob = value;
      return createObjectURL.call(URL, value);
    };
    HTMLAnchorElement.prototype.click = () => {};
    document.querySelector('button[aria-label="Export all chats"]').click();
    URL.createObjectURL = createObjectURL;
    return blob.text();
  });
  const chats = JSON.parse(exported).length;
  expect(chats >= 3, `${chats} chats are exported`);
  await importFile(page, "chats.json", exported);
  await until(() => document.querySelector(".notice")?.textContent === "These chats are here already.");
  await click("Delete The sun", "first");
  await importFile(page, "chats.json", exported);
  await until(() => document.querySelector(".notice")?.textContent === "The chat was added.");
  expect((await page.$$eval(".sidebar li", (all) => all.length)) === chats, "a chat is there twice");
  await importFile(page, "chats.json", "no chats");
  await until(() => document.querySelector(".notice")?.textContent.includes("chats.json"));

  // A link to an answer of a model that is not here asks before it gets anything.
  const shared = {
    version: 1,
    model: "smollm2-135m",
    source: "smollm2-135m",
    settings: {},
    seed: 1,
    messages: [{ role: "user", content: "Hi" }],
    answer: "0".repeat(64),
  };
  await page.goto("about:blank");
  await page.goto(`${url}/#answer=${Buffer.from(JSON.stringify(shared)).toString("base64url")}`);
  await until(() => document.querySelector("#get-linked")?.textContent === "Get smollm2-135m");
  await shot("linked");
  await click("Use the story model");
  await until(() => document.querySelector(".proof:not(.same)") !== null);
  expect((await textOf(".said")) === "Hi", "the question of the link is gone");
  await page.goto("about:blank");
  await page.goto(`${url}/#answer=damaged`);
  await until(() => document.querySelector(".notice")?.textContent.includes("damaged"));
  for (const name of await page.$$eval(".sidebar li .open", (all) => all.map(({ textContent }) => textContent))) {
    await click(`Delete ${name}`, "first");
  }
  await until(() => document.querySelectorAll(".sidebar li").length === 0);
  expect(user.errors.length === 0, user.errors.join("\n"));
  await page.close();
}

/** How many colours the bars of the picture of attention have. */
function colours(page) {
  return page.$eval(".attention-picture canvas", (canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const found = new Set();
    // Only the full bars, not the faint ones behind them; the hue, as alpha rounds colours.
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200) found.add(data[i] > data[i + 2]);
    return found.size;
  });
}
