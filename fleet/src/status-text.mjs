/** What `status` prints: a line per batch, and a table of machines. */
export function statusText({ batches, machines }) {
  const lines = batches.map((batch) => {
    const { batch: name, kind, total, done, failed, left, cancelled, complete, secondsLeft } = batch;
    const time = secondsLeft === null ? "unknown" : duration(secondsLeft);
    const end = cancelled ? "cancelled" : complete ? "complete" : `${left} left, time left ${time}`;
    return `${name}  ${kind}  ${done}/${total} done, ${failed} failed, ${end}`;
  });
  if (machines.length === 0) return [...lines, "No machines."].join("\n");
  const head = ["machine", "state", "jobs", "failed", "jobs/s", "tokens/s", "shards", "room", "model"];
  const rows = machines.map((machine) => [
    machine.name,
    machine.state,
    String(machine.done),
    String(machine.failed),
    machine.jobsPerSecond.toFixed(2),
    machine.tokensPerSecond.toFixed(1),
    String(machine.shards),
    machine.room === undefined ? "" : `${Math.floor(machine.room / 2 ** 20)} MiB`,
    machine.reason ?? machine.model ?? "",
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)));
  const left = new Set([0, 1, head.length - 1]);
  for (const row of [head, ...rows])
    lines.push(
      row
        .map((text, column) => (left.has(column) ? text.padEnd(widths[column]) : text.padStart(widths[column])))
        .join("  ")
        .trimEnd(),
    );
  return lines.join("\n");
}

function duration(seconds) {
  const whole = Math.ceil(seconds);
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.ceil(whole / 60)} min`;
  return `${Math.ceil(whole / 3600)} h`;
}
