import { test } from "uvu";
import * as assert from "uvu/assert";
import { fixture } from "../helpers/fixtures.js";

interface Serving {
  url: string;
  server: { close(): void; closeAllConnections(): void };
}
const root = fixture("..", "..");
const { serve } = (await import(`${root}/scripts/web.mjs`)) as {
  serve(mounts: Record<string, string>): Promise<Serving>;
};

test("the static server: files, ranges, headers for threads, nothing outside its folders", async () => {
  const { server, url } = await serve({ "/": `${root}/web`, "/weights/": `${root}/weights` });
  try {
    const page = await fetch(`${url}/`);
    assert.is(page.status, 200);
    assert.is(page.headers.get("Cross-Origin-Opener-Policy"), "same-origin");
    assert.is(page.headers.get("Cross-Origin-Embedder-Policy"), "require-corp");
    const part = await fetch(`${url}/weights/story.gguf`, { headers: { Range: "bytes=0-3" } });
    assert.is(part.status, 206);
    assert.is(await part.text(), "GGUF");
    const beyond = await fetch(`${url}/style.css`, { headers: { Range: "bytes=9999999-" } });
    assert.is(beyond.status, 416);
    for (const path of ["/%", "/%00", "/..%2fpackage.json", "/x%2f..%2f..%2fpackage.json", "/weights", "/none"])
      assert.ok([400, 404].includes((await fetch(`${url}${path}`)).status), path);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test.run();
