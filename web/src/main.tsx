import { render } from "preact";
import { App } from "./components/app.js";
import { loadHistory, startConversation } from "./state/chats.js";
import { openFromAddress } from "./state/linked.js";
import { connect, openFile } from "./state/models.js";
import { panel } from "./state/view.js";
import { stop } from "./state/writing.js";

render(<App />, document.getElementById("app") as HTMLElement);

void (async () => {
  await Promise.all([loadHistory(), connect()]);
  await openFromAddress();
})();
addEventListener("hashchange", () => void openFromAddress());

addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey)) {
    if (event.key === "Escape" && !panel.value) stop();
    return;
  }
  if (event.key.toLowerCase() === "k") {
    event.preventDefault();
    document.getElementById("search")?.focus();
  }
  if (event.shiftKey && event.key.toLowerCase() === "o") {
    event.preventDefault();
    startConversation();
  }
});

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
  const file = event.dataTransfer?.files[0];
  if (file) void openFile(file);
});

if ("serviceWorker" in navigator && location.protocol !== "file:")
  navigator.serviceWorker.register("./service-worker.js").catch(() => {
    // Without it the page works, only not offline.
  });
