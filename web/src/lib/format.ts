/** Bytes in the unit a reader expects. */
export function bytes(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)} GB`;
  return count >= 1e6 ? `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} MB` : `${Math.ceil(count / 1e3)} kB`;
}

export function seconds(count: number): string {
  if (!Number.isFinite(count)) return "";
  if (count < 90) return `${Math.max(1, Math.round(count))} s`;
  return count < 5400 ? `${Math.round(count / 60)} min` : `${Math.round(count / 3600)} h`;
}

const plain = new Intl.NumberFormat("en");

export function whole(count: number): string {
  return plain.format(Math.round(count));
}

export function speed(tokensPerSecond: number): string {
  return `${tokensPerSecond.toFixed(tokensPerSecond < 10 ? 1 : 0)} tokens/s`;
}

/** When something was, in a word. */
export function day(time: number, now = Date.now()): string {
  const start = (at: number) => new Date(at).setHours(0, 0, 0, 0);
  const days = Math.round((start(now) - start(time)) / 86_400_000);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days < 7) return "This week";
  return days < 31 ? "This month" : "Earlier";
}
