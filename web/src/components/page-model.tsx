import type { PageEngine } from "../engines/page.js";
import { loadInPage, loading, origin, pageOptions, setAttention } from "../state/models.js";
import { AttentionPicture } from "./attention-picture.js";

/** How the model in the page is run, and what that costs. */
export function PageModel({ engine: loaded }: { engine: PageEngine }) {
  const { sparsity, select, threads, contextLength } = pageOptions.value;
  const again = (change: object) => {
    const from = origin.value;
    if (from) void loadInPage(from, { ...pageOptions.value, ...change });
  };
  return (
    <section>
      <h3>{loaded.model}</h3>
      <dl class="facts">
        {loaded.facts().map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <label class="switch">
        <input
          id="select"
          type="checkbox"
          checked={select === true}
          disabled={loading.value !== undefined}
          onChange={(event) => void setAttention({ sparsity, select: event.currentTarget.checked || undefined })}
        />
        <span>
          Selection
          <small>Reads in full only what matters of a long chat, and skims the rest: answers come sooner.</small>
        </span>
      </label>
      <label class="switch">
        <input
          id="delta"
          type="checkbox"
          checked={sparsity !== undefined}
          disabled={loading.value !== undefined}
          onChange={(event) => void setAttention({ select, sparsity: event.currentTarget.checked ? 0.6 : undefined })}
        />
        <span>
          Delta attention
          <small>Keeps only what changes from word to word: long chats need less memory.</small>
        </span>
      </label>
      {sparsity !== undefined && (
        <label class="slider">
          Changes left out: {Math.round(sparsity * 100)} %
          <input
            type="range"
            min={0}
            max={90}
            step={5}
            value={sparsity * 100}
            onChange={(event) => void setAttention({ select, sparsity: Number(event.currentTarget.value) / 100 })}
          />
        </label>
      )}
      {(sparsity !== undefined || select) && <AttentionPicture engine={loaded} />}
      <details>
        <summary>More</summary>
        {loaded.notes.map((note) => (
          <p class="hint" key={note}>
            {note}
          </p>
        ))}
        <label>
          Threads
          <input
            type="number"
            min={1}
            max={16}
            placeholder="automatic"
            value={threads}
            onChange={(event) => again({ threads: event.currentTarget.valueAsNumber || undefined })}
          />
        </label>
        <label>
          Longest context, in tokens
          <input
            type="number"
            min={64}
            step={64}
            placeholder="automatic"
            value={contextLength}
            onChange={(event) => again({ contextLength: event.currentTarget.valueAsNumber || undefined })}
          />
        </label>
      </details>
    </section>
  );
}
