// The chat page, end to end, in one browser: node runtime-tests/page.mjs chromium [folder for screenshots]
import { networkInterfaces } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { servePage } from "../scripts/web.mjs";
import { withBrowser } from "./browsers.mjs";
import { alone } from "./chat-page/alone.mjs";
import { features } from "./chat-page/features.mjs";
import { look } from "./chat-page/look.mjs";
import { withServer } from "./chat-page/server.mjs";
import { openPage } from "./chat-page/user.mjs";

const root = resolve(fileURLToPath(import.meta.url), "../..");

/** @param base folder with `dist` and `weights`: the repository, or the installed package */
export async function testPage(name, base = root, screenshots = undefined) {
  const { server, url } = await servePage(base);
  const { serve } = await import(pathToFileURL(join(base, "dist/server/index.js")).href);
  const { chatPage } = await import(pathToFileURL(join(base, "dist/server/page.js")).href);
  const api = await serve({ port: 0, models: { story: { source: "embedded" } }, page: chatPage });
  // As a phone sees it: a page that comes without TLS from another machine lacks half of what browsers have.
  const open = await serve({
    port: 0,
    host: "0.0.0.0",
    noAuth: true,
    models: { story: { source: "embedded" } },
    page: chatPage,
  });
  const address = Object.values(networkInterfaces())
    .flat()
    .find(({ family, internal }) => family === "IPv4" && !internal)?.address;
  try {
    await withBrowser(name, async (browser) => {
      await look(await openPage(browser, url, screenshots));
      await features(await openPage(browser, url, screenshots));
      await withServer(await openPage(browser, api.url, screenshots));
      await withServer(await openPage(browser, open.url.replace(/\/\/[^:/]+/, `//${address}`), screenshots));
      await alone(await openPage(browser, url, screenshots), server);
    });
  } finally {
    server.closeAllConnections();
    server.close();
    for (const each of [api, open]) {
      await each.terminate();
      await each.handler.close();
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await testPage(process.argv[2], root, process.argv[3]);
  console.log("ok");
}
