import { OptionError } from "../errors.js";
import { show } from "./show.js";

/** The error of a value that no model can be loaded from. */
export function noModel(source: unknown): OptionError {
  return new OptionError(
    `${show(source)} is not a model`,
    { key: "source" },
    'Give "embedded", a path, a URL, a Blob, a Uint8Array, a ByteSource, or filesFolder(…)',
  );
}
