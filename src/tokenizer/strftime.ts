const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const months = "January February March April May June July August September October November December".split(" ");

/**
 * A local date written after a format of C's `strftime`, in English. Knows the directives chat templates use:
 * `%a %A %b %B %d %H %I %j %m %M %p %S %y %Y %F %T %%` and `%-d` and the like, without leading zeros.
 */
export function strftime(date: Date, format: string): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const hour = date.getHours();
  const values: Record<string, string> = {
    a: days[date.getDay()]!.slice(0, 3),
    A: days[date.getDay()]!,
    b: months[date.getMonth()]!.slice(0, 3),
    B: months[date.getMonth()]!,
    d: two(date.getDate()),
    H: two(hour),
    I: two(hour % 12 || 12),
    j: String(
      Math.round(
        (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 0)) / 86400000,
      ),
    ).padStart(3, "0"),
    m: two(date.getMonth() + 1),
    M: two(date.getMinutes()),
    p: hour < 12 ? "AM" : "PM",
    S: two(date.getSeconds()),
    y: two(date.getFullYear() % 100),
    Y: String(date.getFullYear()),
    "%": "%",
  };
  values.F = `${values.Y}-${values.m}-${values.d}`;
  values.T = `${values.H}:${values.M}:${values.S}`;
  return format.replace(/%(-?)([A-Za-z%])/g, (whole, bare: string, name: string) => {
    const value = values[name];
    return value === undefined ? whole : bare ? value.replace(/^0+(?=\d)/, "") : value;
  });
}
