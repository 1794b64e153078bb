import { test } from "uvu";
import * as assert from "uvu/assert";
import { chatPage } from "#src/server/page.js";

test("the chat page and everything beside it come with a policy that loads nothing from elsewhere and runs no inline script", async () => {
  for (const path of ["/", "/engine/story.gguf"]) {
    const policy = (await chatPage(path))?.headers.get("Content-Security-Policy") ?? "";
    assert.match(policy, "default-src 'none'");
    assert.match(policy, "script-src 'self' 'wasm-unsafe-eval';");
    assert.match(policy, "frame-ancestors 'none'");
    assert.not.match(policy, /unsafe-inline|'unsafe-eval'|\*/);
  }
  assert.is(await chatPage("/../package.json"), undefined);
});

test.run();
