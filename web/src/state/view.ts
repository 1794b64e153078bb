import { effect, signal } from "@preact/signals";

/** The panel that is open beside or over the conversation. */
export const panel = signal<"models" | "settings" | undefined>(undefined);
/** Whether the list of conversations is out, on a narrow screen. */
export const listOpen = signal(false);
/** A short message at the bottom, for a moment. */
export const notice = signal<string | undefined>(undefined);

export type Theme = "system" | "light" | "dark";
const THEME = "deltallm.theme";
export const theme = signal<Theme>(readTheme());

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  try {
    localStorage.setItem(THEME, theme.value);
  } catch {
    // Not kept then.
  }
});

let timer: ReturnType<typeof setTimeout> | undefined;

export function tell(text: string): void {
  notice.value = text;
  clearTimeout(timer);
  timer = setTimeout(() => {
    notice.value = undefined;
  }, 4000);
}

function readTheme(): Theme {
  try {
    const kept = localStorage.getItem(THEME);
    if (kept === "light" || kept === "dark") return kept;
  } catch {
    // A page without storage follows the system.
  }
  return "system";
}
