import { useEffect, useRef, useState } from "preact/hooks";
import { catalogue } from "../../../src/hub/catalogue.js";
import { PageEngine } from "../engines/page.js";
import { bytes, seconds } from "../lib/format.js";
import {
  connect,
  engine,
  giveKey,
  kept,
  keyWanted,
  type Loading,
  loadInPage,
  loading,
  loadProblem,
  onServer,
  openFile,
  origin,
  removeKept,
  STORY,
  showKept,
  useServerModel,
} from "../state/models.js";
import { panel } from "../state/view.js";
import { IconButton } from "./icons.js";
import { PageModel } from "./page-model.js";
import { Panel } from "./panel.js";

/** Which model answers, and how it is run. */
export function ModelPanel() {
  return (
    <Panel title="Model" id="model-panel">
      {keyWanted.value && <KeyForm />}
      {onServer.value && <ServerModels />}
      <OwnModels />
      {loading.value && <LoadingView loading={loading.value} />}
      {loadProblem.value && (
        <p class="problem" role="alert">
          {loadProblem.value}
        </p>
      )}
      {engine.value instanceof PageEngine && <PageModel engine={engine.value} />}
    </Panel>
  );
}

function ServerModels() {
  const serving = engine.value?.kind === "server" ? engine.value.model : undefined;
  return (
    <section>
      <h3>On the server</h3>
      <ul class="choices">
        {onServer.value?.map(({ id }) => (
          <li key={id}>
            <button
              type="button"
              class={id === serving ? "choice current" : "choice"}
              aria-pressed={id === serving}
              onClick={() => void useServerModel(id).then(() => (panel.value = undefined))}
            >
              {id}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function KeyForm() {
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault();
        void giveKey(new FormData(event.currentTarget).get("key") as string).then(connect);
      }}
    >
      <label class="grow">
        API key of the server
        <input name="key" type="password" autocomplete="off" required />
      </label>
      <button type="submit">Use</button>
    </form>
  );
}

function OwnModels() {
  const file = useRef<HTMLInputElement>(null);
  const [address, setAddress] = useState("");
  useEffect(() => void showKept(), []);
  const take = async (name: string, source: typeof STORY.source) => {
    if (await loadInPage({ name, source })) panel.value = undefined;
    await showKept();
  };
  return (
    <section>
      <h3>On this device</h3>
      <p class="hint">The model computes in this page. Nothing you write leaves the device.</p>
      <div class="row wrap">
        <button type="button" id="load-story" onClick={() => void take(STORY.name, STORY.source)}>
          Story model, 3 MB
        </button>
        <button type="button" onClick={() => file.current?.click()}>
          Open a GGUF file …
        </button>
        <input
          id="model-file"
          ref={file}
          type="file"
          accept=".gguf"
          hidden
          onChange={(event) => {
            const [chosen] = event.currentTarget.files ?? [];
            if (chosen)
              void openFile(chosen).then((loaded) => {
                if (loaded) panel.value = undefined;
              });
            event.currentTarget.value = "";
          }}
        />
      </div>
      {kept.value.length > 0 && (
        <ul class="choices" id="kept">
          {kept.value.map(({ name, bytes: size, partial }) => (
            <li key={name} class="row">
              <button
                type="button"
                class={origin.value?.source === name ? "choice grow current" : "choice grow"}
                onClick={() => void take(name.split("/").at(-1) ?? name, name)}
              >
                {name.split("/").at(-1)}
                <small>
                  {" "}
                  {bytes(size)}
                  {partial && ", not complete"}
                </small>
              </button>
              <IconButton
                name="trash"
                label={`Remove ${name} from this device`}
                onClick={() => {
                  if (confirm(`Remove ${name} from this device? It can be downloaded again.`)) void removeKept(name);
                }}
              />
            </li>
          ))}
        </ul>
      )}
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          const name = address.split(/[/?#]/).filter(Boolean).at(-1) ?? address;
          void take(name, address.trim());
        }}
      >
        <label class="grow">
          <span class="visually-hidden">Name or address of a model</span>
          <input
            id="model-address"
            placeholder="smollm2-135m, owner/model or https://… .gguf"
            list="short-names"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            value={address}
            onInput={(event) => setAddress(event.currentTarget.value)}
          />
        </label>
        <datalist id="short-names">
          {Object.entries(catalogue).map(([name, { size, licence }]) => (
            <option key={name} value={name}>
              {size} parameters, licence {licence}
            </option>
          ))}
        </datalist>
        <button type="submit" disabled={address.trim() === ""}>
          Get
        </button>
      </form>
    </section>
  );
}

export function LoadingView({
  loading: { name, what, fraction, bytes: done, started, controller },
}: {
  loading: Loading;
}) {
  const time = (performance.now() - started) / 1000;
  const rate = done / time;
  const known = fraction !== undefined && fraction > 0 && fraction < 1;
  const left = known ? (time * (1 - fraction)) / fraction : undefined;
  return (
    <div class="loading" role="status">
      <div class="row">
        <span class="grow">
          {what} {name}
        </span>
        <button type="button" onClick={() => controller.abort()}>
          Cancel
        </button>
      </div>
      <progress max={1} value={fraction} aria-label={`${what} ${name}`} />
      <p class="hint">
        {[
          fraction === undefined ? "" : `${Math.round(fraction * 100)} %`,
          done > 0 ? bytes(done) : "",
          done > 0 && time > 0.5 ? `${bytes(rate)}/s` : "",
          left !== undefined && left > 1 ? `${seconds(left)} left` : "",
        ]
          .filter(Boolean)
          .join(" · ")}
      </p>
    </div>
  );
}
