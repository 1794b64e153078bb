import { useEffect, useRef } from "preact/hooks";
import { whole } from "../lib/format.js";
import type { SharedAnswer } from "../lib/share.js";
import { contextUsed, spoken } from "../state/answering.js";
import { shown } from "../state/chats.js";
import { getAndOpen, linked, openWith } from "../state/linked.js";
import { engine, loadInPage, loading, loadProblem, STORY } from "../state/models.js";
import { listOpen, notice, panel } from "../state/view.js";
import { answering } from "../state/writing.js";
import { Composer } from "./composer.js";
import { Icon, IconButton } from "./icons.js";
import { MessageView } from "./message.js";
import { LoadingView, ModelPanel } from "./models.js";
import { SettingsPanel } from "./settings.js";
import { Sidebar } from "./sidebar.js";

export function App() {
  return (
    <div class="app">
      <Sidebar />
      {listOpen.value && (
        <button
          type="button"
          class="veil"
          aria-label="Close the list"
          onClick={() => {
            listOpen.value = false;
          }}
        />
      )}
      <main>
        <Header />
        <Log />
        <div class="bottom">
          {loading.value && !panel.value && <LoadingView loading={loading.value} />}
          {loadProblem.value && !panel.value && (
            <p class="problem" role="alert">
              {loadProblem.value}
            </p>
          )}
          <Composer />
        </div>
      </main>
      {panel.value === "models" && <ModelPanel />}
      {panel.value === "settings" && <SettingsPanel />}
      <p class="visually-hidden" role="status" aria-live="polite">
        {spoken.value}
      </p>
      {notice.value && (
        <p class="notice" role="status">
          {notice.value}
        </p>
      )}
    </div>
  );
}

function Header() {
  const most = engine.value?.contextLength;
  // A conversation that outgrew the context fills it.
  const used = Math.min(contextUsed.value, most ?? Number.POSITIVE_INFINITY);
  return (
    <header class="top">
      <span class="only-narrow">
        <IconButton
          id="open-list"
          name="menu"
          label="Conversations"
          onClick={() => {
            listOpen.value = true;
          }}
        />
      </span>
      <button
        type="button"
        id="choose-model"
        class="model-name"
        onClick={() => {
          panel.value = "models";
        }}
      >
        {engine.value?.model ?? "Choose a model"} <Icon name="down" />
      </button>
      {used > 0 && (
        <span class="context" title="Tokens of this chat that the model sees">
          {most ? `${whole(used)} of ${whole(most)} tokens` : `${whole(used)} tokens`}
        </span>
      )}
      <IconButton
        id="open-settings"
        name="settings"
        label="Settings of this chat"
        onClick={() => {
          panel.value = "settings";
        }}
      />
    </header>
  );
}

/** The messages; stays at the newest line unless the reader has scrolled back. */
function Log() {
  const place = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const messages = shown.value;
  useEffect(() => {
    const element = place.current;
    if (element && (following.current || answering.value === undefined)) element.scrollTop = element.scrollHeight;
  }, [messages]);
  // Colours of code and formulas come later, and make an answer longer.
  useEffect(() => {
    const element = place.current;
    if (!element?.firstElementChild) return;
    const observer = new ResizeObserver(() => {
      if (following.current) element.scrollTop = element.scrollHeight;
    });
    observer.observe(element.firstElementChild);
    return () => observer.disconnect();
  }, []);
  return (
    <div
      class="log"
      role="log"
      aria-live="off"
      aria-label="Messages"
      ref={place}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so a keyboard must reach it
      tabIndex={0}
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        following.current = scrollHeight - scrollTop - clientHeight < 80;
      }}
    >
      <div class="column">
        {messages.length === 0 ? <Welcome /> : messages.map((each) => <MessageView key={each.id} message={each} />)}
      </div>
    </div>
  );
}

function Welcome() {
  if (linked.value) return <Linked shared={linked.value} />;
  if (engine.value)
    return (
      <div class="welcome">
        <h2>What is on your mind?</h2>
        <p>
          {engine.value.kind === "page"
            ? "The model computes in this page. Nothing you write leaves this device."
            : "The model computes on the server this page came from."}
        </p>
      </div>
    );
  return (
    <div class="welcome">
      <h2>A language model on your own device</h2>
      <p>It computes in this page, on the processor. Nothing you write leaves the device.</p>
      <div class="row wrap">
        <button
          type="button"
          id="welcome-story"
          class="primary"
          disabled={loading.value !== undefined}
          onClick={() => void loadInPage(STORY)}
        >
          Try the story model, 3 MB
        </button>
        <button
          type="button"
          onClick={() => {
            panel.value = "models";
          }}
        >
          Choose another
        </button>
      </div>
    </div>
  );
}

/** A link came with a question, and a proof of the answer its sender got from a model that is not here. */
function Linked({ shared }: { shared: SharedAnswer }) {
  const busy = loading.value !== undefined;
  return (
    <div class="welcome">
      <h2>An answer by {shared.model}</h2>
      <p>
        The link holds the question and the settings. The same model computes exactly the same answer here; another one
        gives an answer of its own.
      </p>
      <div class="row wrap">
        <button
          type="button"
          id="get-linked"
          class="primary"
          disabled={busy}
          onClick={() => void getAndOpen(shared)}
          title={shared.source}
        >
          Get {shared.source}
        </button>
        <button type="button" disabled={busy} onClick={() => void openWith(shared)}>
          Use {engine.value?.model ?? "the story model"}
        </button>
      </div>
    </div>
  );
}
