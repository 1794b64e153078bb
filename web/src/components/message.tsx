import { useState } from "preact/hooks";
import { copyText } from "../lib/clipboard.js";
import { type Message, versions } from "../lib/conversation.js";
import { speed, whole } from "../lib/format.js";
import { checked, edit, goOn, linkTo, regenerate } from "../state/answering.js";
import { current, showVersion } from "../state/chats.js";
import { tell } from "../state/view.js";
import { answering } from "../state/writing.js";
import { Icon, IconButton } from "./icons.js";
import { Markdown } from "./markdown.js";

export function MessageView({ message }: { message: Message }) {
  const [editing, setEditing] = useState(false);
  const writing = answering.value?.message === message.id;
  const own = message.role === "user";
  return (
    <article class={`message ${message.role}`} aria-label={own ? "You" : "Answer"} aria-busy={writing}>
      {editing ? (
        <Editor message={message} close={() => setEditing(false)} />
      ) : own ? (
        <p class="said">{message.text}</p>
      ) : (
        <Answer message={message} writing={writing} />
      )}
      {!writing && !editing && <Actions message={message} startEditing={() => setEditing(true)} />}
    </article>
  );
}

function Answer({ message, writing }: { message: Message; writing: boolean }) {
  const { text, info } = message;
  const check = checked.value?.message === message.id ? checked.value.result : undefined;
  return (
    <>
      {text === "" && writing ? (
        <p class="thinking">
          <span />
          <span />
          <span />
        </p>
      ) : (
        <Markdown text={text} writing={writing} />
      )}
      {info?.error && (
        <p class="problem" role="alert">
          {info.error}
        </p>
      )}
      {info?.ended === "stopped" && <p class="ended">You stopped this answer.</p>}
      {info?.ended === "length" && <p class="ended">The answer reached its longest length.</p>}
      {info?.ended === "context" && <p class="ended">The conversation fills the model’s context.</p>}
      {check === "same" && (
        <p class="proof same">
          <Icon name="check" /> Computed on this device: exactly the answer in the link.
        </p>
      )}
      {check === "different" && (
        <p class="proof">This is not the answer in the link. The model or its settings differ from the sender’s.</p>
      )}
    </>
  );
}

function Actions({ message, startEditing }: { message: Message; startEditing: () => void }) {
  const { info } = message;
  const own = message.role === "user";
  const busy = answering.value !== undefined;
  const all = versions(current.value, message);
  const at = all.findIndex(({ id }) => id === message.id);
  const show = (index: number) => {
    const other = all[index];
    if (other) showVersion(other);
  };
  return (
    <div class="actions">
      {all.length > 1 && (
        <span class="versions">
          <IconButton name="left" label="Version before" disabled={busy || at === 0} onClick={() => show(at - 1)} />
          <span>
            {at + 1} of {all.length}
          </span>
          <IconButton
            name="right"
            label="Next version"
            disabled={busy || at === all.length - 1}
            onClick={() => show(at + 1)}
          />
        </span>
      )}
      <IconButton name="copy" label="Copy" onClick={() => void copy(message.text)} />
      {own && <IconButton name="edit" label="Edit" disabled={busy} onClick={startEditing} />}
      {!own && (
        <IconButton name="retry" label="Answer again" disabled={busy} onClick={() => void regenerate(message)} />
      )}
      {!own && info && info.ended !== "stop" && info.ended !== "error" && message.text !== "" && (
        <IconButton name="forward" label="Go on" disabled={busy} onClick={() => void goOn(message)} />
      )}
      {!own && info && !info.continued && ["stop", "length", "schema"].includes(info.ended) && (
        <IconButton
          name="link"
          label="Copy a link to this answer"
          onClick={() =>
            void linkTo(message).then((link) => copy(link, "Link copied: whoever opens it computes the same answer."))
          }
        />
      )}
      {info && info.tokens > 0 && (
        <span class="figures">
          {speed(info.tokensPerSecond)} · {whole(info.tokens)} tokens
          {info.cachedTokens > 0 &&
            ` · ${whole(info.cachedTokens)} of ${whole(info.promptTokens)} prompt tokens remembered`}
        </span>
      )}
    </div>
  );
}

function Editor({ message, close }: { message: Message; close: () => void }) {
  const [text, setText] = useState(message.text);
  const save = () => {
    close();
    void edit(message, text);
  };
  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <textarea
        aria-label="Your message"
        rows={Math.min(12, text.split("\n").length + 1)}
        value={text}
        ref={(element) => {
          if (document.activeElement?.closest(".editor") === null) element?.focus();
        }}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") close();
          if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            save();
          }
        }}
      />
      <div class="row">
        <button type="submit" class="primary">
          Send
        </button>
        <button type="button" onClick={close}>
          Cancel
        </button>
      </div>
    </form>
  );
}

async function copy(text: string, said = "Copied."): Promise<void> {
  tell((await copyText(text)) ? said : "This browser does not let the page copy.");
}
