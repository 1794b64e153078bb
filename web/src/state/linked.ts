import { signal } from "@preact/signals";
import { fromFragment, type SharedAnswer } from "../lib/share.js";
import { openLink } from "./answering.js";
import { shown, startConversation } from "./chats.js";
import { engine, loadInPage, onServer, STORY, useServerModel } from "./models.js";
import { tell } from "./view.js";

/** An answer from a link whose model is not here: the user decides whether to get it. */
export const linked = signal<SharedAnswer | undefined>(undefined);

/** Opens the link the page was called with, if it was. */
export async function openFromAddress(): Promise<void> {
  if (!location.hash.startsWith("#answer=")) return;
  const shared = fromFragment(location.hash);
  history.replaceState(null, "", location.pathname + location.search);
  if (!shared) {
    tell("This link is damaged: it holds no answer.");
    return;
  }
  if (shown.value.length > 0) startConversation();
  if (onServer.value?.some(({ id }) => id === shared.model)) {
    if (engine.value?.model !== shared.model) await useServerModel(shared.model);
  } else if (shared.source !== undefined && engine.value?.model !== shared.model) {
    linked.value = shared;
    return;
  }
  await openWith(shared);
}

/** Opens it with the model that is here, or with the story model where none is. */
export async function openWith(shared: SharedAnswer): Promise<void> {
  linked.value = undefined;
  if (engine.value || (await loadInPage(STORY))) await openLink(shared);
}

/** Gets the link's model first; the offer stays if that fails. */
export async function getAndOpen(shared: SharedAnswer): Promise<void> {
  if (shared.source === undefined) return;
  if (await loadInPage({ name: shared.model, source: shared.source })) await openWith(shared);
}
