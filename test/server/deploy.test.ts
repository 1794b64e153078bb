import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { get, post, storyHandler, test } from "./helpers.js";

const deploy = (name: string) => readFileSync(new URL(`../../../deploy/${name}`, import.meta.url), "utf8");

interface Dashboard {
  panels: { title: string; targets: { expr: string }[] }[];
}

test("every figure of the Grafana dashboard is one of /metrics, and every figure of /metrics is shown", async () => {
  const handle = await storyHandler();
  for (let i = 0; i < 2; i++)
    await (await handle(post("/v1/completions", { prompt: "Once upon a time", max_tokens: 5 }))).text();
  const text = await (await handle(get("/metrics"))).text();
  const given = new Set([...text.matchAll(/^(deltallm_\w+)(?:\{[^}]*\})? [\d.e+-]+$/gm)].map(([, name]) => name));
  const { panels } = JSON.parse(deploy("grafana.json")) as Dashboard;
  const asked = new Set(
    panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => expr.match(/deltallm_\w+/g) ?? [])),
  );
  for (const name of asked) assert.ok(given.has(name), `${name} is not in /metrics`);
  const shown = (name: string) => asked.has(name) || asked.has(name.replace(/_(sum|count)$/, "_bucket"));
  for (const name of given) assert.ok(shown(name as string), `no panel shows ${name}`);
});

test("/metrics is what Prometheus reads: each name declared once, before its figures; histograms add up", async () => {
  const handle = await storyHandler();
  await (
    await handle(post("/v1/chat/completions", { messages: [{ role: "user", content: "Hi" }], n: 3, max_tokens: 9 }))
  ).text();
  await (await handle(post("/v1/embeddings", { input: "A dog" }))).text();
  const response = await handle(get("/metrics"));
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  const lines = (await response.text()).split("\n");
  assert.is(lines.pop(), "");
  const types = new Map<string, string>();
  const values = new Map<string, number>();
  for (const line of lines) {
    const [, kind, name, rest] = /^# (HELP|TYPE) (\w+) (.+)$/.exec(line) ?? [];
    if (kind === "TYPE") {
      assert.not.ok(types.has(name as string), line);
      types.set(name as string, rest as string);
    }
    if (kind) continue;
    const [, figure, labels = "", value] = /^([a-z_]+)(\{(?:[a-z_]+="[^"\\]*",?)+\})? (\S+)$/.exec(line) ?? [];
    assert.ok(figure !== undefined && Number.isFinite(Number(value)), line);
    const family = types.has(figure) ? figure : figure.replace(/_(bucket|sum|count)$/, "");
    assert.ok(types.has(family), line);
    values.set(figure + labels, Number(value));
  }
  for (const [name, type] of types) {
    if (type !== "histogram") continue;
    const buckets = [...values].filter(([figure]) => figure.startsWith(`${name}_bucket{`)).map(([, value]) => value);
    assert.equal(
      buckets,
      [...buckets].sort((a, b) => a - b),
      name,
    );
    assert.is(buckets.at(-1), values.get(`${name}_count`), name);
  }
  assert.is(values.get("deltallm_tokens_predicted_total"), 27);
  assert.ok((values.get("deltallm_prompt_tokens_total") as number) > 5);
  assert.is(values.get("deltallm_queue_seconds_count"), 1);
  assert.is(values.get("deltallm_time_to_first_token_seconds_count"), 1);
  // Three answers at once are computed in the same passes.
  assert.ok((values.get("deltallm_pass_sequences_total") as number) > (values.get("deltallm_passes_total") as number));
  assert.ok((values.get("deltallm_process_memory_bytes") as number) > 1e6);
});

test.once("the systemd unit is one that systemd takes, and starts a command that there is", async () => {
  const unit = deploy("deltallm.service");
  const [, words = ""] = /^ExecStart=\/usr\/bin\/env deltallm (.+)$/m.exec(unit) ?? [];
  const help = spawnSync("node", ["dist/cli/main.js", "serve", "--help"], { encoding: "utf8" }).stdout;
  for (const option of words.match(/--[a-z-]+/g) ?? []) assert.ok(help.includes(option), option);
  if (spawnSync("systemd-analyze", ["--version"]).status !== 0) {
    console.log("SKIPPED: there is no systemd-analyze here, so the unit was not checked with it");
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "deltallm-unit-"));
  try {
    const file = join(folder, "deltallm.service");
    writeFileSync(file, unit);
    const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", file], { encoding: "utf8" });
    assert.is(status, 0, stderr);
    assert.not.match(stderr, /deltallm\.service:\d+:/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
