import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { program, sleep } from "./bench.mjs";
import { startRouter } from "./router.mjs";

/** The routers' files with the real programs, before small servers that say who they are. */
export function routerCases() {
  const has = (name) => program(name) !== undefined;
  return [
    ...(has("haproxy")
      ? [
          ["HAProxy takes its file, keeps affinity, goes round a machine that drains", () => route("haproxy")],
          ["HAProxy bounds the load of one affinity when there is much of it", bounded],
        ]
      : []),
    ...(has("nginx")
      ? [["nginx takes its file, keeps affinity, goes round a machine that drains", () => route("nginx")]]
      : []),
  ];
}

/** Three servers that answer with their port, after some ms. */
async function standIns(ms = 0) {
  const servers = [];
  for (let i = 0; i < 3; i++) {
    const server = { draining: false };
    server.http = createServer((request, response) => {
      response.statusCode = server.draining ? 503 : 200;
      const pause = request.url === "/health" ? 0 : ms;
      request.resume().on("end", () => setTimeout(() => response.end(server.name), pause));
    }).listen(0, "127.0.0.1");
    await once(server.http, "listening");
    server.port = server.http.address().port;
    server.name = String(server.port);
    servers.push(server);
  }
  const close = () => {
    for (const { http } of servers) {
      http.closeAllConnections();
      http.close();
    }
  };
  return { servers, ports: servers.map(({ port }) => port), close };
}

const asker = (url) => async (affinity) => {
  const headers = { "x-affinity": affinity };
  const response = await fetch(`${url}/v1/completions`, { method: "POST", headers, body: "{}" });
  return { status: response.status, who: await response.text() };
};

async function route(kind) {
  const { servers, ports, close } = await standIns();
  let router;
  try {
    router = await startRouter(kind, ports);
    const ask = asker(router.url);
    const users = Array.from({ length: 30 }, (_, index) => `conversation-${index}`);
    const first = new Map();
    for (const user of users) first.set(user, (await ask(user)).who);
    assert.equal(new Set(first.values()).size, 3, "every machine has conversations");
    for (let round = 0; round < 3; round++)
      for (const user of users) assert.equal((await ask(user)).who, first.get(user), user);
    // Ten at once are fewer than one machine computes.
    for (const user of users.slice(0, 5)) {
      const answers = await Promise.all(Array.from({ length: 10 }, () => ask(user)));
      assert.deepEqual([...new Set(answers.map(({ who }) => who))], [first.get(user)]);
    }

    // Requests for a machine that drains are answered by another; the others stay where they are.
    const drained = servers.find(({ name }) => name === first.get(users[0]));
    drained.draining = true;
    const moved = async () => {
      for (const user of users) {
        const { status, who } = await ask(user);
        assert.equal(status, 200);
        assert.notEqual(who, drained.name);
        if (first.get(user) !== drained.name) assert.equal(who, first.get(user), user);
      }
    };
    await moved();
    // Back again, its conversations come back to it.
    drained.draining = false;
    for (let tries = 0; (await ask(users[0])).who !== drained.name; tries++) {
      assert.ok(tries < 300, "the machine is not used again");
      await sleep(100);
    }
    for (const user of users) assert.equal((await ask(user)).who, first.get(user), user);

    // A machine that has died, with the same rule.
    drained.http.closeAllConnections();
    drained.http.close();
    await moved();
  } finally {
    await router?.stop();
    close();
  }
}

async function bounded() {
  const { ports, close } = await standIns(300);
  let router;
  try {
    router = await startRouter("haproxy", ports);
    const ask = asker(router.url);
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask("one conversation")));
    assert.ok(answers.every(({ status }) => status === 200));
    const counts = ports.map((port) => answers.filter(({ who }) => who === String(port)).length);
    assert.ok(Math.max(...counts) < 50, `${counts}`);
  } finally {
    await router?.stop();
    close();
  }
}
