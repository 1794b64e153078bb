import type { JsonObject } from "./body.js";
import { badParameter } from "./errors.js";

/** Checks one parameter's value and returns it as it is used. @throws ApiError naming `param` */
export type Parse<Value> = (value: unknown, param: string) => Value;

/** Parameters of one endpoint: how each is read. */
export type Parameters<Values> = { [Name in keyof Values]-?: Parse<Values[Name]> };

/**
 * The one rule for parameters, on every endpoint: what is listed is obeyed or refused, `null` means "not given", what is
 * in `ignored` cannot change the answer and is accepted, everything else is refused with 400 and its name. So no request
 * is half obeyed.
 */
export function readParameters<Values>(
  body: JsonObject,
  parameters: Parameters<Values>,
  ignored: readonly string[] = [],
): Partial<Values> {
  const values: Partial<Values> = {};
  for (const [name, value] of Object.entries(body)) {
    if (value === null || value === undefined) continue;
    const parse = Object.hasOwn(parameters, name) ? parameters[name as keyof Values] : undefined;
    if (parse) values[name as keyof Values] = parse(value, name);
    else if (!ignored.includes(name))
      throw badParameter(name, `The parameter ${JSON.stringify(name)} is not supported here`, "unknown_parameter");
  }
  return values;
}

export function finite(low: number, high: number): Parse<number> {
  return (value, param) => {
    if (typeof value !== "number" || !(value >= low && value <= high))
      throw badParameter(
        param,
        `${shown(value)} cannot be used for ${param}: it must be a number from ${low} to ${high}`,
      );
    return value;
  };
}

export function whole(low: number, high: number = Number.MAX_SAFE_INTEGER): Parse<number> {
  return (value, param) => {
    if (typeof value !== "number" || !Number.isInteger(value) || value < low || value > high)
      throw badParameter(
        param,
        `${shown(value)} cannot be used for ${param}: it must be a whole number from ${low} to ${high}`,
      );
    return value;
  };
}

export const flag: Parse<boolean> = (value, param) => {
  if (typeof value !== "boolean")
    throw badParameter(param, `${shown(value)} cannot be used for ${param}: it must be true or false`);
  return value;
};

export const text: Parse<string> = (value, param) => {
  if (typeof value !== "string")
    throw badParameter(param, `${shown(value)} cannot be used for ${param}: it must be a text`);
  return value;
};

export function oneOf<Value extends string>(...allowed: readonly Value[]): Parse<Value> {
  return (value, param) => {
    if (!allowed.includes(value as Value))
      throw badParameter(param, `${shown(value)} cannot be used for ${param}: it must be ${allowed.join(" or ")}`);
    return value as Value;
  };
}

/** A parameter of which only one value is supported: that of not giving it. */
export function only(expected: unknown): Parse<unknown> {
  const wanted = JSON.stringify(expected);
  return (value, param) => {
    if (JSON.stringify(value) !== wanted)
      throw badParameter(param, `${param} is supported as ${wanted} only`, "unsupported_value");
    return value;
  };
}

export const object: Parse<JsonObject> = (value, param) => {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw badParameter(param, `${param} must be an object`);
  return value as JsonObject;
};

export function list<Value>(item: Parse<Value>, most = 100_000): Parse<Value[]> {
  return (value, param) => {
    if (!Array.isArray(value)) throw badParameter(param, `${param} must be a list`);
    if (value.length > most)
      throw badParameter(param, `${param} has ${value.length} entries, at most ${most} are supported`);
    return value.map((entry, i) => item(entry, `${param}[${i}]`));
  };
}

/** A text, or a list of them, as a list. */
export const texts: Parse<string[]> = (value, param) =>
  typeof value === "string" ? [value] : list(text, 64)(value, param);

/** Token id → what is added to its logit. */
export const logitBias: Parse<Record<number, number>> = (value, param) => {
  const bias: Record<number, number> = {};
  // llama-server's form: a list of pairs.
  const entries = Array.isArray(value) ? (value as unknown[]) : Object.entries(object(value, param));
  for (const entry of entries) {
    const [id, amount] = Array.isArray(entry) ? entry : [undefined, undefined];
    bias[whole(0, 2 ** 31 - 1)(Number(id), `${param}[${shown(id)}]`)] =
      amount === false ? -100 : finite(-100, 100)(amount, `${param}[${shown(id)}]`);
  }
  return bias;
};

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 60 ? `${json.slice(0, 57)}…` : json;
}
