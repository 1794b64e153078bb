import type { Automaton } from "../automaton.js";
import { regexAutomaton } from "../regex-automaton.js";
import { parseRegex } from "../regex-parser.js";

// Days of each month; 29 February in the years that have it.
const date = (() => {
  const fourth = "(0[48]|[2468][048]|[13579][26])";
  const leap = `([0-9]{2}${fourth}|${fourth}00|0000)`;
  return `([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|${leap}-02-29)`;
})();
const time = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
const label = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
const byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const group = "[0-9A-Fa-f]{1,4}";
const path = "([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*";
const rest = "([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*";
const ipv6 = [
  `(${group}:){7}${group}`,
  ...Array.from({ length: 7 }, (_, before) => {
    const after = 6 - before;
    return `${before === 0 ? "" : `(${group}:){0,${before - 1}}${group}`}::(${after === 0 ? "" : `(${group}:){0,${after - 1}}`}${group})?`;
  }),
].join("|");
const duration =
  "P([0-9]+W|([0-9]+Y([0-9]+M([0-9]+D)?)?|[0-9]+M([0-9]+D)?|[0-9]+D)(T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S))?|T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S))";

/**
 * What is written for each format, as expressions. Everything they match is valid (RFC 3339, 4122, 5321, 1123, 3986);
 * of `email`, `hostname` and `uri` only the usual forms are written.
 */
const sources: Record<string, string> = {
  date,
  time,
  "date-time": `${date}T${time}`,
  duration,
  uuid: "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
  email: `[A-Za-z0-9_%+-]+(\\.[A-Za-z0-9_%+-]+)*@(${label}\\.){1,3}[A-Za-z]{2,24}`,
  hostname: `(${label}\\.){0,2}[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?`,
  ipv4: `(${byte}\\.){3}${byte}`,
  ipv6,
  uri: `https?://(${label}\\.){1,3}[A-Za-z]{2,24}(:[1-9][0-9]{1,3})?(/${path})?(\\?${rest})?(#${rest})?`,
  "json-pointer": "(/([^~/]|~[01])*)*",
};

/** Formats that are supported. */
export const formatNames: readonly string[] = Object.keys(sources);

const automata = new Map<string, Automaton>();

/** The automaton of a format; undefined for one that is not supported. */
export function formatAutomaton(name: string): Automaton | undefined {
  if (!Object.hasOwn(sources, name)) return undefined;
  let automaton = automata.get(name);
  if (!automaton) {
    automaton = regexAutomaton(parseRegex(sources[name]!, "", "format"), "whole");
    automata.set(name, automaton);
  }
  return automaton;
}
