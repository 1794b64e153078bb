// The picture of what delta attention leaves out: one cell per layer (row) and KV head (column).
const cells = document.querySelector("#cells");
const caption = document.querySelector("#caption");
const percent = (share) => `${Math.round(share * 100)} %`;

/** @param attention of `model.stats()`; @param config of the model */
export function draw(attention, { layers, kvHeads }) {
  if (cells.childElementCount !== layers * kvHeads) {
    cells.style.gridTemplateColumns = `repeat(${kvHeads}, 1fr)`;
    cells.replaceChildren(...Array.from({ length: layers * kvHeads }, () => document.createElement("i")));
  }
  for (const head of attention.heads ?? []) {
    if (head.stage !== "decode") continue;
    const cell = cells.children[head.layer * kvHeads + head.kvHead];
    cell?.style.setProperty("--share", head.deltaSparsity.toFixed(2));
    if (cell) cell.title = `layer ${head.layer}, head ${head.kvHead}: ${percent(head.deltaSparsity)}`;
  }
  cells.setAttribute("aria-label", `Key changes dropped: ${percent(attention.deltaSparsity)}, ${layers} layers`);
  caption.textContent =
    `${percent(attention.deltaSparsity)} of the key changes dropped, ` +
    `${percent(attention.attentionSparsity)} beyond the window. Rows: layers. Columns: KV heads. Longer bars: more dropped.`;
}
