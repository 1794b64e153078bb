// The demo page, end to end, in one browser: node runtime-tests/demo.mjs chromium [folder for screenshots]
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { isolation, serve } from "../scripts/web.mjs";
import { until as ask, withBrowser } from "./browsers.mjs";

const root = resolve(fileURLToPath(import.meta.url), "../..");

/** @param base folder with `dist/browser` and `weights`: the repository, or the installed package */
export async function testDemo(name, base = root, screenshots = undefined) {
  const mounts = {
    "/": join(root, "web"),
    "/dist/browser/": join(base, "dist/browser"),
    "/weights/": join(base, "weights"),
  };
  const { server, url } = await serve(mounts, { headers: isolation });
  try {
    await withBrowser(name, (browser) => walk(browser, url, screenshots));
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function walk(browser, url, screenshots) {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  const shot = async (what) => {
    if (!screenshots) return;
    mkdirSync(screenshots, { recursive: true });
    writeFileSync(join(screenshots, `${what}.png`), await page.screenshot());
  };
  const textOf = (selector) => page.$eval(selector, (element) => element.textContent);
  const until = (test) =>
    ask(page, test).catch(async (cause) => {
      throw new Error(`${test} did not happen; ${await textOf("#progress-text")} ${errors.join("; ")}`, { cause });
    });
  const loaded = () => until(() => document.querySelector("#progress-text").textContent.endsWith("is ready."));
  const idle = () => until(() => document.querySelector("#stop").disabled);
  const set = (selector, value) =>
    page.$eval(
      selector,
      (element, to) => {
        element.value = to;
        element.dispatchEvent(new Event("change"));
      },
      value,
    );

  await page.setViewport({ width: 1280, height: 800 });
  await page.goto(`${url}/`);
  await shot("desktop-empty");

  // A story, by keyboard alone.
  await page.focus("#load-story");
  await page.keyboard.press("Enter");
  await loaded();
  await set("#seed", "3");
  await page.focus("#text");
  await page.keyboard.press("Enter");
  await idle();
  const story = await textOf("#log");
  expect(story.startsWith("Once upon a time") && story.length > 120, `story: ${story}`);
  expect(/\d tokens\/s/.test(await page.$eval("#speed", (output) => output.value)), "speed");
  expect(/2|4|8|cores|thread/.test(await textOf("#facts")), "threads");
  await shot("desktop-story");

  // Stop.
  await set("#max-tokens", "900");
  const stoppable = await page.evaluate(async () => {
    const stop = document.querySelector("#stop");
    document.querySelector("#go").click();
    const enabled = !stop.disabled;
    stop.click();
    return enabled;
  });
  expect(stoppable, "Stop cannot be pressed");
  await idle();

  // Delta attention: loads again, shows the picture.
  await set("#max-tokens", "200");
  await page.click("input[value=delta] + span");
  await until(() => !document.querySelector("#picture").hidden);
  await page.click("#clear");
  await page.click("#go");
  await idle();
  expect(/[1-9]\d* % of the key changes/.test(await textOf("#caption")), `picture: ${await textOf("#caption")}`);
  await shot("desktop-delta");

  // A file of one's own: kept, checked, there after a reload, removed.
  const bytes = await page.evaluate(async () => {
    const answer = await fetch("./weights/story.gguf");
    const transfer = new DataTransfer();
    transfer.items.add(new File([await answer.blob()], "mine.gguf"));
    dispatchEvent(Object.assign(new Event("drop", { cancelable: true }), { dataTransfer: transfer }));
    return transfer.files[0].size;
  });
  await until(() => document.querySelector("#progress-text").textContent === "mine.gguf is ready.");
  await page.reload();
  await until(() => document.querySelector("#kept button") !== null);
  expect((await textOf("#kept")).includes(`mine.gguf, ${(bytes / 1e6).toFixed(1)} MB`), "kept file");
  await page.click("#kept button");
  await loaded();
  await page.click("input[value=chat] + span");
  await set("#max-tokens", "24");
  await page.click("#go");
  await idle();
  await page.setViewport({ width: 390, height: 844, isMobile: false });
  await shot("phone-chat");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  expect(!wide, "the page is wider than a phone");
  await page.click("#kept li button:last-child");
  await until(() => !document.querySelector("#kept button"));

  // A download that is broken off goes on where it was; damage on the disk is found.
  const outcome = await page.evaluate(async () => {
    const store = await import("./store.js");
    const from = { url: new URL("weights/story.gguf", document.baseURI).href, chunk: 2 ** 18 };
    const controller = new AbortController();
    const seen = [[], []];
    const options = [0, 1].map((i) => ({ onProgress: (fraction) => seen[i].push(fraction) }));
    const stopAt = (fraction) => {
      seen[0].push(fraction);
      if (fraction > 0.3) controller.abort();
    };
    const error = await store
      .keep("broken.gguf", from, { onProgress: stopAt, signal: controller.signal })
      .catch((e) => e);
    const [unfinished] = await store.list();
    await store.keep("broken.gguf", from, options[1]);
    const first = await store.open("broken.gguf");
    const same = new Uint8Array(await first.arrayBuffer());
    const expected = new Uint8Array(await (await fetch(from.url)).arrayBuffer());
    const models = await (await navigator.storage.getDirectory()).getDirectoryHandle("models");
    const writer = await (await models.getFileHandle("broken.gguf")).createWritable({ keepExistingData: true });
    await writer.write({ type: "write", position: 1_000_000, data: new Uint8Array([1, 2, 3]) });
    await writer.close();
    const damage = await store.open("broken.gguf").catch((e) => e);
    return {
      error: error?.name,
      unfinished: unfinished?.done,
      resumedFrom: seen[1][0],
      same: same.length === expected.length && same.every((byte, i) => byte === expected[i]),
      damage: damage?.message,
      left: (await store.list()).length,
    };
  });
  expect(outcome.error === "AbortError" && outcome.unfinished === false, `broken off: ${JSON.stringify(outcome)}`);
  expect(outcome.resumedFrom > 0.3 && outcome.same, `resumed: ${JSON.stringify(outcome)}`);
  expect(outcome.damage?.includes("damaged") && outcome.left === 0, `damage: ${JSON.stringify(outcome)}`);

  // What cannot be loaded says why.
  await page.evaluate(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["no model"], "wrong.gguf"));
    dispatchEvent(Object.assign(new Event("drop", { cancelable: true }), { dataTransfer: transfer }));
  });
  await until(() => document.querySelector("#progress-text.error") !== null);
  expect((await textOf("#progress-text")).includes("not a GGUF file"), "error");
  expect(!(await page.$("#kept button")), "a wrong file is kept");
  await shot("phone-error");
  try {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
    await page.setViewport({ width: 1280, height: 800 });
    await shot("desktop-dark");
  } catch {
    // Firefox's driver has no media features.
  }
  expect(errors.length === 0, errors.join("\n"));
}

function expect(holds, what) {
  if (!holds) throw new Error(`the demo: ${what}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await testDemo(process.argv[2], root, process.argv[3]);
  console.log("ok");
}
