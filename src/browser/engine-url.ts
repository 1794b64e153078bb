import { KernelError } from "../errors.js";
import { fromBase64 } from "../platform/base64.js";

let fromText: Promise<string> | undefined;

/**
 * Hands the address of the engine's script to `use`: the one given; else the file beside this one; and when that cannot
 * be used, because a bundler has not taken it along or it is on another origin, a Blob URL of the copy in this package.
 * @throws KernelError
 */
export async function withEngineUrl<Result>(
  given: string | URL | undefined,
  use: (url: string) => Promise<Result>,
): Promise<Result> {
  if (given !== undefined) {
    return use(String(given)).catch((cause: unknown) => {
      throw new KernelError(
        "The engine's worker could not be started",
        { file: String(given), key: "workerUrl" },
        HINT,
        {
          cause,
        },
      );
    });
  }
  try {
    return await use(new URL("./deltallm-engine.js", import.meta.url).href);
  } catch (cause) {
    try {
      return await use(await engineBlob());
    } catch {
      throw new KernelError("The engine's worker could not be started", {}, HINT, { cause });
    }
  }
}

const HINT =
  "Serve dist/browser/deltallm-engine.js of this package from your own origin and give its address as workerUrl";

/** A Blob URL of the engine. A Content-Security-Policy may forbid workers from it; then the file must be served. */
function engineBlob(): Promise<string> {
  fromText ??= (async () => {
    const { engineText } = await import("./engine-text.js");
    const stream = new Blob([fromBase64(engineText)]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = await new Response(stream).blob();
    return URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  })();
  return fromText;
}
