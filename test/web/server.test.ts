import { spawnSync } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
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

test("npm run web: a busy port, no port and unknown options are one line; --help shows the options", async () => {
  const busy = createServer();
  await new Promise<void>((done) => busy.listen(0, "127.0.0.1", done));
  const { port } = busy.address() as AddressInfo;
  const web = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [`${root}/scripts/web.mjs`, ...args], {
      encoding: "utf8",
    });
    return { status, stdout, stderr };
  };
  assert.equal(web("--port", String(port)), {
    status: 3,
    stdout: "",
    stderr: `Port ${port} is in use: give another one, npm run web -- --port ${port < 65_000 ? port + 1 : 8081}\n`,
  });
  busy.close();
  assert.equal(web("--port", "x"), { status: 2, stdout: "", stderr: "x is no port: give 0 to 65535\n" });
  assert.equal(web("--none"), {
    status: 2,
    stdout: "",
    stderr: "Unknown option '--none'. --help shows what there is\n",
  });
  const help = web("--help");
  assert.is(help.status, 0);
  assert.match(help.stdout, "Usage: npm run web -- [--port N]");
});

test.run();
