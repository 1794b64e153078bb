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

/** A page has given no result: the browser's trouble, or the machine's. What a page does report is never this error. */
export class NoResult extends Error {}

/** A page on its way to another document has no context to ask in for a moment. */
const PASSING = /context|navigat|realm|no such frame|detached|destroyed|discarded|closed|AbortError/i;

/**
 * Opens a page and waits until it has set `window.result`.
 * @returns the result, and what the page wrote to the console
 * @throws NoResult with what the page wrote and every cause
 */
export async function resultOf(browser, url, timeout = 300_000) {
  const log = [];
  let page;
  try {
    page = await browser.newPage();
    page.on("console", (message) => log.push(message.text()));
    page.on("pageerror", (error) => log.push(String(error)));
    await page.goto(url);
    return { result: await until(page, () => globalThis.result, { timeout, every: 200 }), log };
  } catch (cause) {
    const state = await page
      ?.evaluate(() => `${location.href}, ${document.readyState}, in ${globalThis.stage}`)
      .catch(causes);
    throw new NoResult([`${url}: no result: ${causes(cause)}`, `the page is at ${state}`, ...log].join("\n"), {
      cause,
    });
  } finally {
    await page?.close().catch(() => {});
  }
}

/**
 * Asks the page until the answer is neither false nor missing. By plain calls, again and again: puppeteer's own
 * `waitForFunction` makes a function of text inside the page, which a Content-Security-Policy may forbid.
 */
export async function until(page, question, { timeout = 60_000, every = 50 } = {}) {
  const end = Date.now() + timeout;
  let interruption;
  while (Date.now() < end) {
    try {
      const answer = await page.evaluate(question);
      if (answer) return answer;
    } catch (error) {
      if (!PASSING.test(causes(error)) || page.isClosed() || !page.browser().connected) throw error;
      interruption = error;
    }
    await new Promise((resolve) => setTimeout(resolve, every));
  }
  throw new Error(`nothing for ${timeout / 1000} s`, { cause: interruption });
}

/** What an error says, and everything that caused it. */
export function causes(error) {
  const messages = [];
  for (let each = error; each !== undefined && messages.length < 8; each = each.cause) messages.push(String(each));
  return messages.join(", because of ");
}
