import { useEffect, useRef, useState } from "preact/hooks";
import { send } from "../state/answering.js";
import { current } from "../state/chats.js";
import { engine, loading } from "../state/models.js";
import { answering, stop } from "../state/writing.js";
import { IconButton } from "./icons.js";

/** Where the user writes. Enter sends, Shift and Enter begins a line, Escape stops an answer. */
export function Composer() {
  const [text, setText] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  const { id } = current.value;
  const writing = answering.value !== undefined;
  const ready = engine.value !== undefined;

  // A new conversation begins with the field.
  useEffect(() => field.current?.focus(), [id]);
  // The field grows with the text.
  useEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${Math.min(element.scrollHeight, 240)}px`;
  }, [text]);

  const submit = () => {
    if (writing || !ready || text.trim() === "") return;
    setText("");
    void send(text);
    field.current?.focus();
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <textarea
        id="prompt"
        ref={field}
        rows={1}
        aria-label="Message"
        placeholder={ready ? "Write a message" : loading.value ? "The model is on its way …" : "Choose a model first"}
        enterkeyhint="send"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape" && writing) stop();
          if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            submit();
          }
        }}
      />
      {writing ? (
        <IconButton id="stop" name="stop" label="Stop" onClick={stop} />
      ) : (
        <button
          type="submit"
          id="send"
          class="icon-button send"
          aria-label="Send"
          title="Send"
          disabled={!ready || text.trim() === ""}
        >
          <svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
            <path d="M10 16V4M5 9l5-5 5 5" />
          </svg>
        </button>
      )}
    </form>
  );
}
