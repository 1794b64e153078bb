/**
 * Why masks differ; undefined where nothing says why they should.
 * @param who allows the token: `ours` or `theirs`
 */
export function reasonOf(who, spec, text, token) {
  const both = Buffer.concat([text, token]);
  if (who === "theirs" && !beginsUtf8(both)) return "theirs: bytes that no UTF-8 has";
  if (spec.schema !== undefined) {
    if (who === "ours" && whiteSpaceOutside(text, token)) return "ours: white space between the parts";
    if (who === "ours" && inString(text) && token.includes("\\") && isBounded(spec.schema))
      return "ours: escapes in strings of bounded length";
    const number = both.toString("latin1").match(/(?:^|[[:,])(-?[0-9][0-9.eE+-]*|-)[\]},]*$/)?.[1];
    if (who === "theirs" && number !== undefined && !inString(text)) return numberReason(number, spec.schema);
  }
  if (who === "theirs" && inString(text) && isBounded(spec.schema ?? {}) && token.some((byte) => byte < 0x20))
    return "theirs: control characters in strings of bounded length, which no JSON has";
  if (spec.regex?.includes("[^") && !beginsUtf8(text)) return "ours: characters beyond ASCII in a negated class";
  if (who === "ours" && spec.regex?.includes("[^") && both.some((byte) => byte >= 0x80))
    return "ours: characters beyond ASCII in a negated class";
  return undefined;
}

/** In which of the documented ways a number is not written by ours. */
function numberReason(number, schema) {
  if (/^-0(?![.1-9])/.test(number)) return "theirs: -0";
  if (/e[+-]?\d{3}/i.test(number)) return "theirs: exponents of more than two digits";
  if (number.replace(/e.*/i, "").replace(/\D/g, "").length > 15) return "theirs: numbers of more than 15 digits";
  const whole = JSON.stringify(schema).includes('"integer"') && !JSON.stringify(schema).includes('"number"');
  if (whole || schema.enum) {
    if (/[.e]/i.test(number)) return "theirs: whole numbers with a point or an exponent";
    // They look at the value when the number ends.
    if (schema.enum || schema.minimum !== undefined) return "theirs: beginnings of numbers that cannot be completed";
  }
  return undefined;
}

function inString(text) {
  let [inside, escaped] = [false, false];
  for (const byte of text) {
    if (escaped) escaped = false;
    else if (inside && byte === 0x5c) escaped = true;
    else if (byte === 0x22) inside = !inside;
  }
  return inside;
}

function whiteSpaceOutside(text, token) {
  return [...token].some(
    (byte, i) =>
      " \n\t\r".includes(String.fromCharCode(byte)) && !inString(Buffer.concat([text, token.subarray(0, i)])),
  );
}

function isBounded(schema) {
  return schema.minLength !== undefined || schema.maxLength !== undefined;
}

/** Whether some text begins with these bytes. */
function beginsUtf8(bytes) {
  for (const tail of ["", "\x80", "\x80\x80", "\x80\x80\x80", "\xa0", "\xa0\x80", "\x90\x80\x80"])
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat([bytes, Buffer.from(tail, "latin1")]));
      return true;
    } catch {}
  return false;
}
