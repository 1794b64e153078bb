import { useEffect, useRef } from "preact/hooks";
import { copyText } from "../lib/clipboard.js";
import { renderMarkdown } from "../lib/markdown.js";

/** An answer: formatted, its code with a button to copy it. */
export function Markdown({ text, writing }: { text: string; writing: boolean }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    element.replaceChildren(renderMarkdown(text));
    for (const pre of element.querySelectorAll("pre")) addCopyButton(pre);
    // Colours and formulas come when the text stands still: they need more code, and time.
    if (writing) return;
    let wanted = true;
    const code = element.querySelectorAll<HTMLElement>("pre code[class*=language-]");
    const formulas = element.querySelectorAll<HTMLElement>(".formula");
    if (code.length > 0)
      void import("../lib/highlight.js").then(({ highlight }) => {
        if (wanted) for (const each of code) highlight(each);
      });
    if (formulas.length > 0)
      void import("../lib/formulas.js").then(({ drawFormula }) => {
        if (wanted) for (const each of formulas) drawFormula(each);
      });
    return () => {
      wanted = false;
    };
  }, [text, writing]);
  return <div class="markdown" ref={place} />;
}

function addCopyButton(pre: HTMLPreElement): void {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy-code";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    const copied = await copyText(pre.querySelector("code")?.textContent ?? "");
    button.textContent = copied ? "Copied" : "Not allowed";
    setTimeout(() => {
      button.textContent = "Copy";
    }, 1500);
  });
  pre.append(button);
  // A code block that scrolls must be reached by keyboard.
  pre.tabIndex = 0;
}
