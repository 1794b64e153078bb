// Drives the browsers of this machine. Debian's packages: chromium, firefox-esr.
import { existsSync } from "node:fs";
import puppeteer from "puppeteer-core";

const found = (...paths) => paths.find((path) => existsSync(path));

export const browsers = {
  chromium: found("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"),
  firefox: found("/usr/bin/firefox-esr", "/usr/bin/firefox"),
};

const chromiumFlags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts a browser, hands it over and closes it whatever happens. */
export async function withBrowser(name, use) {
  const browser = await puppeteer.launch({
    browser: name === "firefox" ? "firefox" : "chrome",
    executablePath: browsers[name],
    headless: true,
    args: name === "firefox" ? [] : chromiumFlags,
    protocolTimeout: 600_000,
  });
  try {
    return await use(browser);
  } finally {
    await browser.close();
  }
}

/**
 * Opens a page and waits until it has set `window.result`.
 * @returns the result, and what the page wrote to the console
 */
export async function resultOf(browser, url, timeout = 300_000) {
  const page = await browser.newPage();
  const log = [];
  page.on("console", (message) => log.push(message.text()));
  page.on("pageerror", (error) => log.push(String(error)));
  try {
    await page.goto(url);
    await page
      .waitForFunction(() => globalThis.result !== undefined, { timeout, polling: 200 })
      .catch((cause) => {
        throw new Error(`${url}: no result. ${log.join("\n")}`, { cause });
      });
    return { result: await page.evaluate(() => globalThis.result), log };
  } finally {
    await page.close();
  }
}
