import { json } from "../body.js";
import { badParameter } from "../errors.js";
import { list, oneOf, type Parameters, type Parse, readParameters, text, whole } from "../parameters.js";
import { ignoredParameters } from "../sampling-parameters.js";
import type { Endpoint } from "../work.js";

interface EmbeddingParameters {
  model: string;
  input: string[] | number[][];
  encoding_format: "float" | "base64";
  dimensions: number;
}

const tokenIds = list(whole(0, 2 ** 31 - 1), 1 << 20);

/** A text, texts, token ids, or lists of them. */
const input: Parse<string[] | number[][]> = (value, param) => {
  if (typeof value === "string") return [value];
  if (!Array.isArray(value) || value.length === 0)
    throw badParameter(param, `${param} must be a text or a list of texts`);
  if (typeof value[0] === "number") return [tokenIds(value, param)];
  return Array.isArray(value[0]) ? list(tokenIds, 2048)(value, param) : list(text, 2048)(value, param);
};

const parameters: Parameters<EmbeddingParameters> = {
  model: text,
  input,
  encoding_format: oneOf("float", "base64"),
  dimensions: whole(1),
};

/** `POST /v1/embeddings` */
export const embeddings: Endpoint = async (call) => {
  const { server, signal } = call;
  const values = readParameters<EmbeddingParameters>(call.body, parameters, ignoredParameters);
  if (!values.input) throw badParameter("input", "The parameter input is missing", "missing_required_parameter");
  const leave = await server.admission.enter(1, call.key, signal);
  try {
    const used = await server.registry.use(values.model, signal);
    try {
      call.record.model = used.name;
      const { hidden } = used.model.config;
      if (values.dimensions !== undefined && values.dimensions > hidden)
        throw badParameter("dimensions", `This model's embeddings have ${hidden} dimensions`);
      const { embeddings: vectors, tokens } = await used.model.embed(values.input, { signal });
      server.metrics.promptTokens += tokens;
      call.record.promptTokens = tokens;
      return json({
        object: "list",
        data: vectors.map((vector, index) => ({
          object: "embedding",
          index,
          embedding: encode(shortened(vector, values.dimensions), values.encoding_format ?? "float"),
        })),
        model: used.name,
        usage: { prompt_tokens: tokens, total_tokens: tokens },
      });
    } finally {
      used.release();
    }
  } finally {
    leave();
  }
};

/** The first numbers, made a unit vector again. */
function shortened(vector: Float32Array, dimensions: number | undefined): Float32Array {
  if (dimensions === undefined || dimensions >= vector.length) return vector;
  const part = vector.slice(0, dimensions);
  const length = Math.sqrt(part.reduce((sum, each) => sum + each * each, 0)) || 1;
  return part.map((each) => each / length);
}

function encode(vector: Float32Array, format: "float" | "base64"): number[] | string {
  if (format === "float") return Array.from(vector);
  let binary = "";
  for (const byte of new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength))
    binary += String.fromCharCode(byte);
  return btoa(binary);
}
