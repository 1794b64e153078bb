import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { compact } from "./compact.js";

/** Something measured, with an interval. */
export interface Point {
  /** Which colour. */
  series: string;
  value: number;
  low: number;
  high: number;
  /** Panel from left to right, and from top to bottom. */
  column?: string | undefined;
  row?: string | undefined;
}

interface Common {
  title: string;
  /** What is shown, in which unit, and what the intervals are. */
  subtitle: string;
  /** Reference value, drawn as a line. */
  reference?: { value: number; label: string } | undefined;
}

/** Values as dots beside the names of cases, intervals as bars. */
export interface DotChart extends Common {
  kind: "dots";
  valueLabel: string;
  /** Begins the value axis at 0. */
  zero?: boolean | undefined;
  /** Equal factors are equal distances on the value axis. */
  logarithmic?: boolean | undefined;
  points: readonly (Point & { name: string })[];
}

/** Values over a number. */
export interface LineChart extends Common {
  kind: "lines";
  xLabel: string;
  /** Ends of the horizontal axis; default those of the points. */
  xDomain?: [number, number] | undefined;
  valueLabel: string;
  zero?: boolean | undefined;
  points: readonly (Point & { x: number })[];
}

export type Chart = DotChart | LineChart;

const WIDTH = 860;
const MARGIN = 12;
const FONT = 12;
/** Width of a letter of that font, at most about. */
const LETTER = 6.6;

// A panel of its own, so that one set of colours does on any page; attributes only, as many viewers know no style sheets.
const PANEL = "#ffffff";
const INK = "#24292f";
const FAINT = "#57606a";
const LINE = "#d0d7de";
// Colours that can be told apart by people with any colour vision.
const colours = ["#0969da", "#bc4c00", "#1a7f37", "#8250df", "#6e7781"];

const marks = ["circle", "square", "triangle", "diamond", "star"] as const;
const colour = (i: number) => colours[i % colours.length] as string;
const unique = (list: readonly string[]) => [...new Set(list)];

/** Draws a chart as an SVG file of its own, on a white panel. */
export function drawChart(chart: Chart): string {
  const { document } = parseHTML("<html></html>");
  const series = unique(chart.points.map((point) => point.series));
  const columns = unique(chart.points.flatMap(({ column }) => column ?? []));
  const rows = unique(chart.points.flatMap(({ row }) => row ?? []));
  const options = chart.kind === "dots" ? dotOptions(chart, series) : lineOptions(chart, series);
  const panels = Math.max(1, rows.length);
  const panelHeight = chart.kind === "dots" ? dotHeight(chart, series) : Math.max(150, 260 / panels);
  const marginTop = columns.length ? 28 : 12;
  const height = marginTop + panels * panelHeight + (panels - 1) * 14 + 44;
  const plot = Plot.plot({
    document: document as unknown as Document,
    width: WIDTH,
    height,
    marginTop,
    marginBottom: 44,
    marginRight: rows.length ? 24 + LETTER * Math.max(...rows.map((row) => row.length)) : 24,
    style: { fontSize: `${FONT}px` },
    fx: { label: null, domain: columns.length ? columns : undefined, paddingOuter: 0, paddingInner: 0.08 },
    fy: { label: null, domain: rows.length ? rows : undefined, paddingOuter: 0, paddingInner: 14 / (panelHeight + 14) },
    ...options,
  }) as unknown as Parameters<typeof compact>[0];
  const head = [
    `<text x="0" y="18" font-size="16" font-weight="600">${escapeText(chart.title)}</text>`,
    ...wrap(chart.subtitle).map(
      (line, i) => `<text fill="${FAINT}" x="0" y="${38 + i * 16}">${escapeText(line)}</text>`,
    ),
  ];
  const legendAt = 38 + (head.length - 1) * 16 + 4;
  const hasLegend = series.length > 1 || chart.reference !== undefined;
  const legend = hasLegend ? legendOf(series, chart.reference?.label, legendAt) : "";
  const top = hasLegend ? legendAt + 14 : legendAt - 8;
  const body = compact(plot).replace(/<style>[\s\S]*?<\/style>/, "");
  const [width, all] = [WIDTH + 2 * MARGIN, top + height + 2 * MARGIN];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${all}" viewBox="${-MARGIN} ${-MARGIN} ${width} ${all}" fill="${INK}" font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" font-size="${FONT}" role="img">
<title>${escapeText(chart.title)}</title>
<rect x="${-MARGIN}" y="${-MARGIN}" width="${width}" height="${all}" rx="6" fill="${PANEL}"/>
${head.join("\n")}
${legend}
<g transform="translate(0 ${top})" text-anchor="middle">${body}</g>
</svg>
`;
}

/** The value axis must hold every interval and the reference. */
function domainOf(chart: Chart): [number, number] {
  const { points, zero, reference } = chart;
  const values = points.flatMap(({ low, high }) => [low, high]).concat(reference?.value ?? []);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  if (chart.kind === "dots" && chart.logarithmic) return [least / 1.15, most * 1.15];
  const room = (most - (zero ? 0 : least)) * 0.06 || Math.abs(most) * 0.05 || 1;
  return [zero ? 0 : least - room, most + room];
}

/** 1, 2 and 5 times powers of ten. */
function roundNumbers([low, high]: [number, number]): number[] {
  const list: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10)
    list.push(...[1, 2, 5].map((x) => x * power).filter((x) => x >= low && x <= high));
  return list;
}

/** Whether numbers are so large that they need prefixes. */
const large = ({ points }: Chart) => points.some(({ high }) => high >= 20_000);

const axis = { stroke: INK, color: INK };

function dotHeight({ points }: DotChart, series: readonly string[]): number {
  return unique(points.map(({ name }) => name)).length * Math.max(20, 8 + series.length * 11);
}

function dotOptions(chart: DotChart, series: readonly string[]): Plot.PlotOptions {
  const names = unique(chart.points.map(({ name }) => name));
  const { reference } = chart;
  const ticks = chart.logarithmic ? roundNumbers(domainOf(chart)) : 5;
  const facet = { fx: "column", fy: "row" } as const;
  const hasColumns = chart.points.some(({ column }) => column !== undefined);
  const hasRows = chart.points.some(({ row }) => row !== undefined);
  const panel = { ...(hasColumns && { fx: facet.fx }), ...(hasRows && { fy: facet.fy }) };
  return {
    marginLeft: 14 + LETTER * Math.max(...names.map((name) => name.length)),
    x: { domain: domainOf(chart), label: null, type: chart.logarithmic ? "log" : "linear" },
    y: { domain: names, label: null, type: "band", padding: 0.1 },
    marks: [
      Plot.gridX({ stroke: LINE, strokeOpacity: 1, ticks }),
      Plot.axisX({
        ...axis,
        ticks,
        tickFormat: large(chart) ? "~s" : ",~g",
        label: chart.valueLabel,
        labelAnchor: "center",
        labelArrow: "none",
        labelOffset: 38,
      }),
      Plot.axisY({ ...axis, tickSize: 0 }),
      ...(hasRows ? [Plot.axisFy({ ...axis })] : []),
      ...(hasColumns ? [Plot.axisFx({ ...axis, anchor: "top" })] : []),
      ...(reference ? [Plot.ruleX([reference.value], { stroke: INK, strokeDasharray: "4 3" })] : []),
      ...series.flatMap((name, i) => {
        const points = chart.points.filter((point) => point.series === name);
        const dy = (i - (series.length - 1) / 2) * 11;
        return [
          Plot.ruleY(points, {
            ...panel,
            y: "name",
            x1: "low",
            x2: "high",
            stroke: colour(i),
            strokeWidth: 2.5,
            strokeOpacity: 0.55,
            dy,
          }),
          Plot.dot(points, {
            ...panel,
            y: "name",
            x: "value",
            fill: colour(i),
            symbol: marks[i % marks.length],
            r: 4,
            dy,
          }),
        ];
      }),
    ],
  };
}

function lineOptions(chart: LineChart, series: readonly string[]): Plot.PlotOptions {
  const { reference } = chart;
  const hasColumns = chart.points.some(({ column }) => column !== undefined);
  const hasRows = chart.points.some(({ row }) => row !== undefined);
  const panel = { ...(hasColumns && { fx: "column" }), ...(hasRows && { fy: "row" }) };
  return {
    marginLeft: 72,
    x: { domain: chart.xDomain, label: null, inset: 8 },
    y: { domain: domainOf(chart), label: null },
    marks: [
      Plot.gridY({ stroke: LINE, strokeOpacity: 1, ticks: 5 }),
      Plot.axisX({
        ...axis,
        ticks: 5,
        label: chart.xLabel,
        labelAnchor: "center",
        labelArrow: "none",
        labelOffset: 38,
      }),
      Plot.axisY({
        ...axis,
        ticks: 5,
        label: chart.valueLabel,
        labelAnchor: "center",
        labelArrow: "none",
        labelOffset: 62,
      }),
      ...(hasRows ? [Plot.axisFy({ ...axis })] : []),
      ...(hasColumns ? [Plot.axisFx({ ...axis, anchor: "top" })] : []),
      ...(reference ? [Plot.ruleY([reference.value], { stroke: INK, strokeDasharray: "4 3" })] : []),
      ...series.flatMap((name, i) => {
        const points = chart.points.filter((point) => point.series === name);
        return [
          Plot.line(points, { ...panel, x: "x", y: "value", stroke: colour(i), strokeWidth: 1.75, sort: "x" }),
          Plot.ruleX(points, {
            ...panel,
            x: "x",
            y1: "low",
            y2: "high",
            stroke: colour(i),
            strokeWidth: 2.5,
            strokeOpacity: 0.55,
          }),
          Plot.dot(points, { ...panel, x: "x", y: "value", fill: colour(i), symbol: marks[i % marks.length], r: 4 }),
        ];
      }),
    ],
  };
}

const shapes: Record<(typeof marks)[number], string> = {
  circle: "M4,0A4,4,0,1,1,-4,0A4,4,0,1,1,4,0Z",
  square: "M-3.6,-3.6H3.6V3.6H-3.6Z",
  triangle: "M0,-4.8L4.2,2.6H-4.2Z",
  diamond: "M0,-5L3,0L0,5L-3,0Z",
  star: "M0,-5L1.2,-1.6L4.8,-1.6L1.9,0.6L3,4.1L0,1.9L-3,4.1L-1.9,0.6L-4.8,-1.6L-1.2,-1.6Z",
};

function legendOf(series: readonly string[], reference: string | undefined, y: number): string {
  let x = 5;
  const entries = series.map((name, i) => {
    const shape = shapes[marks[i % marks.length] as (typeof marks)[number]];
    const entry = `<path transform="translate(${x.toFixed(1)} ${y - 4})" d="${shape}" fill="${colour(i)}"/><text x="${(x + 10).toFixed(1)}" y="${y}">${escapeText(name)}</text>`;
    x += 30 + name.length * LETTER;
    return entry;
  });
  if (reference !== undefined)
    entries.push(
      `<path transform="translate(${x.toFixed(1)} ${y - 4})" d="M-5,0H9" stroke="${INK}" stroke-dasharray="4 3"/><text x="${(x + 14).toFixed(1)}" y="${y}">${escapeText(reference)}</text>`,
    );
  return entries.join("\n");
}

/** Lines that fit the width. */
function wrap(text: string): string[] {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1) as string;
    if (line && (line.length + word.length + 1) * LETTER > WIDTH + 60) lines.push(word);
    else lines[lines.length - 1] = line ? `${line} ${word}` : word;
  }
  return lines;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
