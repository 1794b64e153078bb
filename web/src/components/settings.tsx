import type { Settings } from "../lib/conversation.js";
import { defaultSettings } from "../lib/conversation.js";
import { changeSettings, current } from "../state/chats.js";
import { Panel } from "./panel.js";

type NumberName = "temperature" | "topP" | "topK" | "minP" | "repeatPenalty" | "maxTokens";

const numbers: { name: NumberName; label: string; hint: string; min: number; max: number; step: number }[] = [
  {
    name: "temperature",
    label: "Temperature",
    hint: "0: always the likeliest word; higher: more surprising",
    min: 0,
    max: 2,
    step: 0.05,
  },
  {
    name: "maxTokens",
    label: "Longest answer, in tokens",
    hint: "A token is about three quarters of a word",
    min: 1,
    max: 32768,
    step: 1,
  },
  {
    name: "topP",
    label: "Top-p",
    hint: "Only the likeliest words that together reach this share",
    min: 0.01,
    max: 1,
    step: 0.01,
  },
  { name: "topK", label: "Top-k", hint: "Only so many of the likeliest words; 0: all", min: 0, max: 1000, step: 1 },
  {
    name: "minP",
    label: "Min-p",
    hint: "Only words at least this share as likely as the likeliest",
    min: 0,
    max: 1,
    step: 0.01,
  },
  {
    name: "repeatPenalty",
    label: "Repetition penalty",
    hint: "1: none; higher: fewer repetitions",
    min: 1,
    max: 2,
    step: 0.05,
  },
];

/** Settings of this conversation. */
export function SettingsPanel() {
  const { settings } = current.value;
  return (
    <Panel title="This chat" id="settings-panel">
      <label class="field">
        What the model is told first
        <textarea
          id="system"
          rows={3}
          placeholder="For example: Answer in one sentence."
          value={settings.system}
          onInput={(event) => changeSettings({ system: event.currentTarget.value })}
        />
      </label>
      {numbers.map((entry) => (
        <NumberField key={entry.name} {...entry} value={settings[entry.name]} />
      ))}
      <label class="field">
        Seed
        <small>The same seed gives the same answer. Empty: another one each time.</small>
        <input
          id="seed"
          type="number"
          min={0}
          step={1}
          placeholder="random"
          value={settings.seed}
          onInput={(event) => {
            const seed = event.currentTarget.valueAsNumber;
            changeSettings({ seed: Number.isSafeInteger(seed) && seed >= 0 ? seed : undefined });
          }}
        />
      </label>
      <label class="switch">
        <input
          id="json"
          type="checkbox"
          checked={settings.json}
          onChange={(event) => changeSettings({ json: event.currentTarget.checked })}
        />
        <span>
          Answers in JSON
          <small>For programs: the answer is always a valid JSON object.</small>
        </span>
      </label>
      <button type="button" onClick={() => changeSettings(defaultSettings)}>
        Back to the defaults
      </button>
    </Panel>
  );
}

function NumberField({ name, label, hint, value, ...range }: (typeof numbers)[number] & { value: number }) {
  return (
    <label class="field">
      {label}
      <small>{hint}</small>
      <input
        id={name}
        type="number"
        value={value}
        {...range}
        onChange={(event) => {
          const number = event.currentTarget.valueAsNumber;
          if (Number.isFinite(number))
            changeSettings({ [name]: Math.min(range.max, Math.max(range.min, number)) } as Partial<Settings>);
        }}
      />
    </label>
  );
}
