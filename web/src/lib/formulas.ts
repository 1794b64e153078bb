import katex from "katex";

/** Writes a formula into its place, as MathML, which browsers draw without style sheets or fonts of ours. */
export function drawFormula(element: HTMLElement): void {
  const { formula = "", display } = element.dataset;
  katex.render(formula, element, {
    displayMode: display === "true",
    output: "mathml",
    throwOnError: false,
    trust: false,
    maxExpand: 200,
  });
}
