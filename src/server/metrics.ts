/** Upper bounds of the histograms, in seconds. */
const BOUNDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/** The same for a single token. */
const TOKEN_BOUNDS = [0.001, 0.0025, 0.005, ...BOUNDS.slice(0, 7), 2.5];

class Histogram {
  readonly #bounds: readonly number[];
  readonly #buckets: number[];
  #count = 0;
  #sum = 0;

  constructor(bounds: readonly number[] = BOUNDS) {
    this.#bounds = bounds;
    this.#buckets = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.#count++;
    this.#sum += value;
    this.#bounds.forEach((bound, i) => {
      if (value <= bound) this.#buckets[i] = (this.#buckets[i] as number) + 1;
    });
  }

  text(name: string, help: string): string {
    const full = `deltallm_${name}`;
    return metric(name, "histogram", help, [
      ...this.#bounds.map((bound, i) => `${full}_bucket{le="${bound}"} ${this.#buckets[i]}`),
      `${full}_bucket{le="+Inf"} ${this.#count}`,
      `${full}_sum ${this.#sum}`,
      `${full}_count ${this.#count}`,
    ]);
  }
}

/** Figures of the moment, read when asked for. */
export interface Gauges {
  requests_processing: number;
  requests_deferred: number;
  models_loaded: number;
  memory_bytes: number;
  kv_cache_bytes: number;
  process_memory_bytes: number;
}

/** What the server has done since it started, for Prometheus. */
export class Metrics {
  promptTokens = 0;
  cachedTokens = 0;
  predictedTokens = 0;
  promptSeconds = 0;
  predictedSeconds = 0;
  readonly #requests = new Map<string, number>();
  readonly #duration = new Histogram();
  readonly #wait = new Histogram();
  readonly #firstToken = new Histogram();
  readonly #eachToken = new Histogram(TOKEN_BOUNDS);

  /** Counts a request that has ended. */
  request(path: string, status: number, seconds: number): void {
    const labels = `path="${path}",status="${status}"`;
    this.#requests.set(labels, (this.#requests.get(labels) ?? 0) + 1);
    this.#duration.observe(seconds);
  }

  /** Counts a request that got its place, after so many seconds. */
  waited(seconds: number): void {
    this.#wait.observe(seconds);
  }

  /** Counts the tokens of a generation that has ended, and their time; so many `answers` were written at once. */
  generation(
    timings: {
      cache_n: number;
      prompt_n: number;
      prompt_ms: number;
      predicted_n: number;
      predicted_ms: number;
    },
    answers: number,
  ): void {
    this.promptTokens += timings.prompt_n;
    this.cachedTokens += timings.cache_n;
    this.predictedTokens += timings.predicted_n;
    this.promptSeconds += timings.prompt_ms / 1000;
    this.predictedSeconds += timings.predicted_ms / 1000;
    if (timings.predicted_n === 0) return;
    this.#firstToken.observe(timings.prompt_ms / 1000);
    const further = timings.predicted_n / answers - 1;
    if (further > 0) this.#eachToken.observe(timings.predicted_ms / 1000 / further);
  }

  /** Prometheus' text format, version 0.0.4. */
  text(gauges: Gauges, passes: { count: number; sequences: number }): string {
    const counter = (name: string, help: string, value: number) =>
      metric(name, "counter", help, [`deltallm_${name} ${value}`]);
    const gauge = (name: keyof Gauges, help: string) =>
      metric(name, "gauge", help, [`deltallm_${name} ${gauges[name]}`]);
    return [
      counter("prompt_tokens_total", "Prompt tokens computed", this.promptTokens),
      counter("prompt_tokens_cached_total", "Prompt tokens taken from the cache", this.cachedTokens),
      counter("tokens_predicted_total", "Tokens written", this.predictedTokens),
      counter("prompt_seconds_total", "Seconds until first tokens", this.promptSeconds),
      counter("tokens_predicted_seconds_total", "Seconds from first to last tokens", this.predictedSeconds),
      metric(
        "requests_total",
        "counter",
        "Requests by path and status",
        [...this.#requests].map(([labels, count]) => `deltallm_requests_total{${labels}} ${count}`),
      ),
      counter("passes_total", "Passes of the models", passes.count),
      counter("pass_sequences_total", "Answers computed in passes; by passes: the size of a batch", passes.sequences),
      gauge("requests_processing", "Answers being computed"),
      gauge("requests_deferred", "Requests waiting for a place"),
      gauge("models_loaded", "Models in memory"),
      gauge("memory_bytes", "Linear memory of all models"),
      gauge("kv_cache_bytes", "Memory of keys and values of all open sessions"),
      gauge("process_memory_bytes", "Memory of the whole process (resident set)"),
      this.#duration.text("request_seconds", "Time of whole requests"),
      this.#wait.text("queue_seconds", "Time until requests got a place"),
      this.#firstToken.text("time_to_first_token_seconds", "Time until the first token of an answer, loading included"),
      this.#eachToken.text("token_seconds", "Mean time of each further token of an answer"),
      "",
    ].join("\n");
  }
}

function metric(name: string, type: string, help: string, lines: string[]): string {
  return [`# HELP deltallm_${name} ${help}`, `# TYPE deltallm_${name} ${type}`, ...lines].join("\n");
}
