import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { panel } from "../state/view.js";
import { IconButton } from "./icons.js";

/** A dialog over the conversation; Escape, a click beside it or its button close it. */
export function Panel({ title, id, children }: { title: string; id: string; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const close = () => {
    panel.value = undefined;
  };
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a dialog without our help
    <dialog
      ref={dialog}
      id={id}
      class="panel"
      aria-labelledby={`${id}-title`}
      onClose={close}
      onClick={(event) => {
        if (event.target === dialog.current) close();
      }}
    >
      <div class="panel-inside">
        <header class="row">
          <h2 id={`${id}-title`}>{title}</h2>
          <IconButton name="close" label="Close" onClick={close} />
        </header>
        {children}
      </div>
    </dialog>
  );
}
