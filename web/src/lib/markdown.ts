import DOMPurify from "dompurify";
import { Marked } from "marked";

/** What answers may contain. No images: an address in one would tell its server what was written. */
const allowed = {
  ALLOWED_TAGS: [
    "p",
    "br",
    "hr",
    "strong",
    "em",
    "del",
    "code",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "li",
    "a",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "input",
    "span",
    "div",
  ],
  ALLOWED_ATTR: [
    "href",
    "title",
    "start",
    "type",
    "checked",
    "disabled",
    "align",
    "class",
    "data-formula",
    "data-display",
  ],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
};

const marked = new Marked({ gfm: true, breaks: true });
marked.use({
  renderer: {
    // An image becomes a link to it.
    image({ href, text }) {
      return `<a href="${escapeHtml(href)}">${escapeHtml(text || href)}</a>`;
    },
    html({ text }) {
      return escapeHtml(text);
    },
    code({ text, lang }) {
      const language = /^[\w+#-]{1,20}/.exec(lang ?? "")?.[0] ?? "";
      return `<pre><code class="language-${language}">${escapeHtml(text)}\n</code></pre>`;
    },
  },
  extensions: [
    formula("displayFormula", "block", /^(?:\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\])(?:\n|$)/, true),
    formula("displayInside", "inline", /^(?:\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\])/, true),
    formula("inlineFormula", "inline", /^(?:\$(?![\s\d$])((?:[^$\n\\]|\\.)+?)(?<!\s)\$(?!\d)|\\\((.+?)\\\))/, false),
  ],
});

/** A place for a formula, which the view fills in when KaTeX has come. */
function formula(name: string, level: "block" | "inline", rule: RegExp, display: boolean) {
  return {
    name,
    level,
    start: (source: string) => {
      // A block begins a line; a sign inside a paragraph must not cut it.
      const at = level === "block" ? source.search(/\n(?:\$\$|\\\[)/) + 1 || -1 : source.search(/\$|\\[[(]/);
      return at < 0 ? undefined : at;
    },
    tokenizer(source: string) {
      const match = rule.exec(source);
      if (!match) return undefined;
      return { type: name, raw: match[0], text: (match[1] ?? match[2] ?? "").trim() };
    },
    renderer: (token: { text?: string }) =>
      `<span class="formula" data-formula="${escapeHtml(token.text ?? "")}" data-display="${display}"></span>`,
  };
}

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.nodeName !== "A") return;
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener noreferrer nofollow");
});

/** Markdown as safe elements; a fence that is still open is closed. */
export function renderMarkdown(text: string): DocumentFragment {
  const html = marked.parse(text, { async: false });
  return DOMPurify.sanitize(html, { ...allowed, ADD_ATTR: ["target"], RETURN_DOM_FRAGMENT: true });
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
