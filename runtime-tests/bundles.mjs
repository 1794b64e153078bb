// Pages built by the bundlers, without any configuration.
import { cpSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build as esbuild } from "esbuild";
import { createServer, build as vite } from "vite";

/** Vite with and without the embedded model, esbuild into one file; returns what they weigh. */
export async function buildPages(folder) {
  const pages = join(folder, "pages");
  const common = { root: pages, base: "./", configFile: false, logLevel: "error" };
  const rollupOptions = { input: join(pages, "app.html") };
  await vite({ ...common, build: { outDir: join(folder, "built/vite"), rollupOptions } });
  const options = { bundle: true, format: "esm", minify: true, logLevel: "error" };
  const bundle = join(folder, "built/esbuild/bundle.js");
  await esbuild({ ...options, entryPoints: [join(pages, "app-without-story.js")], outfile: bundle });
  cpSync(join(pages, "esbuild.html"), join(folder, "built/esbuild/esbuild.html"));
  await esbuild({
    ...options,
    entryPoints: [join(pages, "node-app.js")],
    platform: "node",
    outfile: join(folder, "built/node/bundle.mjs"),
  });
  return {
    vite: filesOf(join(folder, "built/vite")),
    esbuild: filesOf(join(folder, "built/esbuild")),
    node: filesOf(join(folder, "built/node")),
  };
}

/** Vite's development server for the same page. */
export async function viteServer(folder) {
  const server = await createServer({
    root: join(folder, "pages"),
    configFile: false,
    logLevel: "error",
    server: { port: 0, host: "127.0.0.1", fs: { strict: false } },
    cacheDir: join(folder, "built/vite-cache"),
  });
  await server.listen();
  return { url: `http://127.0.0.1:${server.httpServer.address().port}`, close: () => server.close() };
}

function filesOf(folder) {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => statSync(join(folder, name)).isFile())
    .map((name) => {
      const bytes = readFileSync(join(folder, name));
      return { name, bytes: bytes.length, gzip: gzipSync(bytes).length };
    });
}
