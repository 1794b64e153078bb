import { badParameter } from "./errors.js";
import { list, object, type Parse, text } from "./parameters.js";

/** The text of a message: a string, or a list of text parts. */
export const content: Parse<string> = (value, param) =>
  typeof value === "string" ? value : list(part)(value, param).join("");

const part: Parse<string> = (value, param) => {
  const { type, text: words, refusal } = object(value, param);
  if (type === "refusal") return text(refusal, `${param}.refusal`);
  if (type !== "text" && type !== "input_text" && type !== "output_text")
    throw badParameter(
      param,
      `Content of type ${JSON.stringify(type)} is not supported: only text is`,
      "unsupported_value",
    );
  return text(words, `${param}.text`);
};
