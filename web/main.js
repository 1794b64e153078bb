// The demo: loads a model, lets it write, and shows what it costs.
import { loadModel } from "./dist/browser/deltallm.js";
import { draw } from "./picture.js";
import * as store from "./store.js";

const $ = (id) => document.querySelector(`#${id}`);
const number = (id) => ($(id).value === "" ? undefined : Number($(id).value));
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;

/** What is loaded: the model, where it came from, what the user calls it. */
let current;
let chat;
/** Stops what is going on. */
let loading;
let writing;

// ---- loading ----

const STORY = { name: "Story model", source: async () => "embedded", embedded: true };

/** Loads a model; the one before is given back first, so that the two never need room together. */
async function load(from) {
  writing?.abort();
  loading?.abort();
  const mine = new AbortController();
  loading = mine;
  const { signal } = mine;
  busy(`Loading ${from.name} …`);
  try {
    await current?.model.dispose();
    current = undefined;
    chat = undefined;
    ready();
    const source = await from.source(signal);
    signal.throwIfAborted();
    const model = await loadModel(source, {
      threads: number("threads"),
      contextLength: number("context"),
      attention: attentionOptions(from),
      signal,
      onProgress: ({ phase, fraction }) => {
        if (phase === "weights") progress(fraction);
      },
    });
    current = { model, from };
    if (model.file.tokenizer.chatTemplate) document.querySelector("input[value=chat]").click();
    say(`${from.name} is ready.`);
  } catch (error) {
    if (signal.aborted) say("Loading was cancelled.");
    else say(error.message, true);
  } finally {
    if (loading === mine) {
      loading = undefined;
      $("busy").hidden = true;
    }
    ready();
    facts();
  }
}

function attentionOptions({ embedded }) {
  if (chosen("attention") === "full") return {};
  const value = Number($("threshold").value) / 100;
  // The embedded model has been calibrated: a share can be asked for. Others take a plain threshold.
  const amount = embedded ? { targetSparsity: value } : { threshold: value * 4 };
  return { kind: "delta", window: 32, ...amount };
}

/** Puts a file or an address into this browser's own storage first, when there is one. */
function kept(name, from) {
  return {
    name,
    async source(signal) {
      if (!(await store.canKeep())) return from.file ?? new URL(from.url);
      navigator.storage.persist?.();
      busy(`Keeping ${name} on this device …`);
      await store.keep(name, from, { signal, onProgress: progress });
      await showKept();
      return openKept(name, signal);
    },
  };
}

async function openKept(name, signal) {
  busy(`Checking ${name} …`);
  const file = await store.open(name, { signal, onProgress: progress });
  busy(`Loading ${name} …`);
  return file;
}

async function showKept() {
  const files = (await store.canKeep()) ? await store.list() : [];
  $("kept").replaceChildren(
    ...files.map(({ name, size, done }) => {
      const item = document.createElement("li");
      const open = document.createElement("button");
      open.textContent = `${name}, ${(size / 1e6).toFixed(1)} MB${done ? "" : " (not complete: get it again to go on)"}`;
      open.disabled = !done;
      open.onclick = () => load({ name, source: (signal) => openKept(name, signal) });
      const remove = document.createElement("button");
      remove.textContent = "Remove";
      remove.setAttribute("aria-label", `Remove ${name} from this device`);
      remove.onclick = async () => {
        await store.drop(name);
        await showKept();
      };
      item.append(open, remove);
      return item;
    }),
  );
}

function busy(text) {
  $("busy").hidden = false;
  $("progress").removeAttribute("value");
  say(text);
}

function progress(fraction) {
  $("progress").value = fraction;
}

function say(text, isError = false) {
  $("progress-text").textContent = text;
  $("progress-text").classList.toggle("error", isError);
}

// ---- writing ----

async function write() {
  const prompt = $("text").value;
  if (!current || writing || prompt === "") return;
  const { model } = current;
  const mine = new AbortController();
  writing = mine;
  ready();
  const inChat = chosen("mode") === "chat";
  if (inChat) $("text").value = "";
  $("log").querySelector(".empty")?.remove();
  const answer = paragraph(inChat ? [["asked", prompt]] : [["given", prompt]], inChat);
  const options = {
    temperature: number("temperature"),
    maxTokens: number("max-tokens"),
    seed: number("seed"),
    signal: mine.signal,
  };
  model.resetStats();
  let shown = 0;
  try {
    if (inChat) chat ??= model.createChat();
    for await (const { text } of inChat ? chat.send(prompt, options) : model.generate(prompt, options)) {
      answer.append(inChat && answer.textContent === "" ? text.trimStart() : text);
      const now = performance.now();
      if (now - shown < 100) continue;
      shown = now;
      follow();
      facts();
    }
  } catch (error) {
    if (!mine.signal.aborted) say(error.message, true);
  } finally {
    if (writing === mine) writing = undefined;
    $("spoken").textContent = answer.textContent;
    follow();
    ready();
    facts();
  }
}

/** Adds what was given and a place for what comes. */
function paragraph(parts, separate) {
  const log = $("log");
  let last;
  for (const [kind, text] of parts) {
    last = document.createElement(separate ? "p" : "span");
    last.className = kind;
    last.textContent = text;
    if (separate) log.append(last);
  }
  const answer = document.createElement("p");
  if (!separate) answer.append(last);
  log.append(answer);
  follow(true);
  const written = document.createElement("span");
  answer.append(written);
  return written;
}

/** Keeps the newest line in sight, unless the reader has scrolled back. */
function follow(always = false) {
  const log = $("log");
  if (always || log.scrollHeight - log.scrollTop - log.clientHeight < 80) log.scrollTop = log.scrollHeight;
}

function ready() {
  $("go").disabled = !current || !!writing;
  $("stop").disabled = !writing;
  $("attention").hidden = !current;
  $("threshold-row").hidden = !current || chosen("attention") === "full";
}

// ---- what it costs ----

const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

function facts() {
  if (!current) {
    $("facts").replaceChildren();
    $("notes").replaceChildren();
    $("picture").hidden = true;
    $("speed").value = "";
    return;
  }
  const { model, from } = current;
  const stats = model.stats();
  const { decode, prefill, attention } = stats;
  if (decode.tokens > 0) $("speed").value = `${decode.tokensPerSecond.toFixed(1)} tokens/s`;
  const rows = [
    ["Model", model.config.name || from.name],
    ["Prompt", prefill.tokens ? `${prefill.tokensPerSecond.toFixed(0)} tokens/s` : "–"],
    ["Writing", decode.tokens ? `${decode.tokensPerSecond.toFixed(1)} tokens/s` : "–"],
    ["Memory", mebibytes(stats.memoryBytes)],
    ["Weights", mebibytes(stats.weightBytes)],
    ["Threads", `${stats.threads}: ${stats.threadsReason}`],
    ["Kernels", stats.kernel],
  ];
  $("facts").replaceChildren(
    ...rows.flatMap(([name, value]) => {
      const term = document.createElement("dt");
      const detail = document.createElement("dd");
      term.textContent = name;
      detail.textContent = value;
      return [term, detail];
    }),
  );
  $("notes").replaceChildren(
    ...model.file.notes.map((note) => {
      const item = document.createElement("li");
      item.textContent = note;
      return item;
    }),
  );
  const delta = attention.kind === "delta";
  $("picture").hidden = !delta;
  if (delta) draw(attention, model.config);
}

function showThreshold() {
  const embedded = current?.from.embedded ?? true;
  $("threshold-name").textContent = embedded ? "Key changes to drop" : "Threshold";
  const value = Number($("threshold").value);
  $("threshold-value").value = embedded ? `${value} %` : (value / 25).toFixed(1);
}

const again = () => current && load(current.from);

// ---- events ----

$("load-story").onclick = () => load(STORY);
$("file").onchange = () => {
  const [file] = $("file").files;
  if (file) load(kept(file.name, { file }));
  $("file").value = "";
};
$("download").onsubmit = (event) => {
  event.preventDefault();
  const url = $("url").value.trim();
  if (!url) return;
  const name = decodeURIComponent(new URL(url).pathname.split("/").pop() || "model.gguf");
  load(kept(name, { url }));
};
$("cancel").onclick = () => loading?.abort();
$("prompt").onsubmit = (event) => {
  event.preventDefault();
  write();
};
$("text").onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    write();
  }
  if (event.key === "Escape") writing?.abort();
};
$("stop").onclick = () => writing?.abort();
$("clear").onclick = () => {
  writing?.abort();
  $("log").replaceChildren();
  chat?.dispose();
  chat = undefined;
};
for (const radio of document.querySelectorAll("input[name=mode]"))
  radio.onchange = () => {
    $("go").textContent = chosen("mode") === "chat" ? "Send" : "Write";
  };
for (const radio of document.querySelectorAll("input[name=attention]"))
  radio.onchange = () => {
    ready();
    showThreshold();
    again();
  };
$("threshold").oninput = showThreshold;
for (const id of ["threshold", "threads", "context"]) $(id).addEventListener("change", again);

addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const file = event.dataTransfer.files[0];
  if (file) load(kept(file.name, { file }));
});

showThreshold();
showKept().catch(() => {});
