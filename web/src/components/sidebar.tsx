import { useRef, useState } from "preact/hooks";
import type { Conversation } from "../lib/conversation.js";
import { day } from "../lib/format.js";
import {
  conversations,
  current,
  historyProblem,
  importConversations,
  openConversation,
  removeConversation,
  rename,
  startConversation,
} from "../state/chats.js";
import { listOpen, type Theme, tell, theme } from "../state/view.js";
import { IconButton } from "./icons.js";

/** The conversations: search, open, rename, delete, export, import. */
export function Sidebar() {
  const [search, setSearch] = useState("");
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = conversations.value.filter((each) => matches(each, words));
  const groups = groupByDay(found);
  const begin = () => {
    startConversation();
    listOpen.value = false;
  };
  return (
    <aside class={listOpen.value ? "sidebar open" : "sidebar"} aria-label="Conversations">
      <div class="row">
        <h1>deltallm</h1>
        <IconButton id="new-chat" name="plus" label="New chat" onClick={begin} />
      </div>
      <input
        id="search"
        type="search"
        placeholder="Search"
        aria-label="Search conversations"
        value={search}
        onInput={(event) => setSearch(event.currentTarget.value)}
      />
      <nav aria-label="Conversations">
        {groups.map(({ name, list }) => (
          <section key={name}>
            {name && <h2>{name}</h2>}
            <ul>
              {list.map((each) => (
                <Entry key={each.id} conversation={each} />
              ))}
            </ul>
          </section>
        ))}
        {found.length === 0 && (
          <p class="hint">{words.length ? "Nothing found." : "Your chats stay on this device."}</p>
        )}
      </nav>
      {historyProblem.value && <p class="problem">{historyProblem.value}</p>}
      <Footer />
    </aside>
  );
}

function Entry({ conversation }: { conversation: Conversation }) {
  const [renaming, setRenaming] = useState(false);
  const { id, title } = conversation;
  if (renaming)
    return (
      <li>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            rename(id, new FormData(event.currentTarget).get("title") as string);
            setRenaming(false);
          }}
        >
          <input
            name="title"
            aria-label="Name of the chat"
            value={title}
            ref={(element) => {
              if (document.activeElement !== element) element?.focus();
            }}
            onBlur={(event) => event.currentTarget.form?.requestSubmit()}
            onKeyDown={(event) => {
              if (event.key === "Escape") setRenaming(false);
            }}
          />
        </form>
      </li>
    );
  return (
    <li class={current.value.id === id ? "current" : ""}>
      <button
        type="button"
        class="open"
        aria-current={current.value.id === id ? "page" : undefined}
        onClick={() => {
          openConversation(id);
          listOpen.value = false;
        }}
      >
        {title}
      </button>
      <IconButton name="edit" label={`Rename ${title}`} onClick={() => setRenaming(true)} />
      <IconButton name="download" label={`Export ${title}`} onClick={() => save(`${title}.json`, conversation)} />
      <IconButton
        name="trash"
        label={`Delete ${title}`}
        onClick={() => {
          if (confirm(`Delete “${title}”? This cannot be undone.`)) void removeConversation(id);
        }}
      />
    </li>
  );
}

function Footer() {
  const file = useRef<HTMLInputElement>(null);
  return (
    <footer class="row">
      <IconButton
        name="download"
        label="Export all chats"
        disabled={conversations.value.length === 0}
        onClick={() => save("deltallm-chats.json", conversations.value)}
      />
      <IconButton name="upload" label="Import chats" onClick={() => file.current?.click()} />
      <input
        id="import"
        ref={file}
        type="file"
        accept=".json,application/json"
        hidden
        onChange={async (event) => {
          const input = event.currentTarget;
          const [chosen] = input.files ?? [];
          try {
            if (!chosen) return;
            const count = importConversations(await chosen.text());
            tell(
              count === 0
                ? "These chats are here already."
                : count === 1
                  ? "The chat was added."
                  : `${count} chats were added.`,
            );
          } catch (error) {
            tell(`${chosen?.name}: ${(error as Error).message}`);
          }
          input.value = "";
        }}
      />
      <label class="theme">
        <span class="visually-hidden">Colours</span>
        <select
          id="theme"
          value={theme.value}
          onChange={(event) => {
            theme.value = event.currentTarget.value as Theme;
          }}
        >
          <option value="system">Automatic</option>
          <option value="light">Light</option>
          <option value="dark">Dark</option>
        </select>
      </label>
    </footer>
  );
}

function matches({ title, messages }: Conversation, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const text = `${title}\n${messages.map((message) => message.text).join("\n")}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

function groupByDay(list: readonly Conversation[]): { name: string; list: Conversation[] }[] {
  const groups = new Map<string, Conversation[]>();
  for (const each of list) {
    const name = day(each.updated);
    groups.set(name, [...(groups.get(name) ?? []), each]);
  }
  return [...groups].map(([name, members]) => ({ name, list: members }));
}

function save(name: string, value: unknown): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(value, undefined, 2)], { type: "application/json" }));
  link.download = name.replace(/[\\/:*?"<>|]/g, "_");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
