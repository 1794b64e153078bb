import { expect } from "./user.mjs";

/** The page that came from a server: the server computes. */
export async function withServer(user) {
  const { page, until, idle, say, click, set, settings, answers, shot, textOf } = user;
  await until(() => document.querySelector("#choose-model").textContent.startsWith("story"));
  await settings(async () => {
    await set("#seed", "3");
    await set("#maxTokens", "30");
  });
  await say("Tell me a story");
  await idle();
  expect((await answers())[0].length > 20, "no answer from the server");
  expect(/tokens/.test(await textOf(".message.assistant .figures")), "no figures");
  await click("Copy", "first");
  await until(() => document.querySelector(".notice")?.textContent === "Copied.");
  await shot(`server-${new URL(user.url).hostname}`);
  // The model may compute in the page instead, also on a page without TLS.
  await page.click("#choose-model");
  await until(() => document.querySelector("#load-story") !== null);
  await page.click("#load-story");
  await until(() => document.querySelector("#choose-model").textContent.startsWith("Story model"));
  await say("Once upon a time");
  await idle();
  expect((await answers())[0].length > 20, "no answer in the page");
  expect(user.errors.length === 0, user.errors.join("\n"));
  await page.close();
}
