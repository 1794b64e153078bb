import type { KernelFamily } from "#src/kernels/choose.js";
import type { StartWorker } from "#src/threads/team.js";

/** `smoke`: everything once, tiny, to see that it runs; `quick`: minutes; `full`: more sizes and more rounds. */
export type Size = "smoke" | "quick" | "full";

/** What suites need to know about where they run. Suites import nothing of Node: they run in browsers too. */
export interface Environment {
  size: Size;
  /** Kernel families this engine computes rightly, `simd` first. */
  families: readonly KernelFamily[];
  /** `assembly/bench`, by family. */
  parts: Partial<Record<KernelFamily, WebAssembly.Module>>;
  /** Most threads to use; 1 where no shared memory is to be had. */
  threads: number;
  /** Starts a thread that computes nothing but attention; undefined where there is none, as in browsers. */
  startAttend?: StartWorker | undefined;
  /** Extra models to measure whole, in the forms `loadModel` takes. */
  models: readonly string[];
}

/** What one call of a case computes, so that time becomes a rate. */
export type Unit = "MAC" | "byte" | "token";

/** Something to be timed. */
export interface Case {
  /** Names the case within its group. */
  name: string;
  /** What varies, for tables and plots. */
  labels: Readonly<Record<string, string | number>>;
  /** Units of work of one call. For delta attention those of full attention, so that rates compare. */
  work: number;
  run(): unknown;
  /** Figures that are not times (sparsity, share of bytes read), read after the last call. */
  facts?(): Readonly<Record<string, number>>;
}

/** Cases to be compared with each other: their calls are interleaved. The first is what the others are compared with. */
export interface Group {
  name: string;
  /** Makes the cases when their turn has come; they hold memory. */
  prepare(): Prepared | Promise<Prepared>;
}

export interface Prepared {
  cases: readonly Case[];
  dispose?(): unknown;
}

export interface Suite {
  name: string;
  /** One line for people. */
  title: string;
  unit: Unit;
  groups(environment: Environment): readonly Group[];
}

/** What was measured of one case. */
export interface Result {
  suite: string;
  group: string;
  name: string;
  labels: Readonly<Record<string, string | number>>;
  unit: Unit;
  work: number;
  /** Milliseconds per call, one number per round: the median of that round's calls. */
  samples: number[];
  facts: Readonly<Record<string, number>>;
}

/** A whole run, as `--json` writes it. */
export interface Run {
  format: "deltallm-bench";
  version: 1;
  /** ISO 8601. */
  date: string;
  package: string;
  size: Size;
  machine: { processor: string; cores: number; memoryBytes?: number | undefined; system: string };
  runtime: string;
  /** The kernel family `loadModel` picks here, and the ternary dots its race picks. */
  kernel: { family: KernelFamily; dots: { gemv: number; gemm: number } };
  threads: number;
  results: Result[];
}
