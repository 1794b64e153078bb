import { type ModelConfig, ropeDimOf } from "../config.js";
import { FormatError } from "../errors.js";

/** Largest position: positions are counted in 32-bit integers. */
const MAX_CONTEXT_LENGTH = 2 ** 31 - 1;

/** Largest count of anything else in a configuration: an int32 can index every product of two of them that is stored. */
const MAX_COUNT = 2 ** 22;

/**
 * Checks what a configuration says before anything is computed from it.
 * @throws FormatError naming the field.
 */
export function checkConfig(config: ModelConfig, file: string): ModelConfig {
  const fail = (key: string, what: string): never => {
    throw new FormatError(what, { file, key });
  };
  const counts = ["layers", "hidden", "ffn", "heads", "kvHeads", "headDim", "vocab"] as const;
  for (const key of counts) {
    const value = config[key];
    if (!Number.isInteger(value) || value < 1 || value > MAX_COUNT)
      fail(key, `The configuration has ${key} = ${value}`);
  }
  const { contextLength, heads, kvHeads, headDim, rmsNormEps, ropeTheta, ropeScaling } = config;
  if (!Number.isInteger(contextLength) || contextLength < 1 || contextLength > MAX_CONTEXT_LENGTH) {
    fail("contextLength", `The context length is ${contextLength}`);
  }
  if (heads % kvHeads !== 0) fail("kvHeads", `${heads} heads cannot share ${kvHeads} KV heads evenly`);
  if (headDim % 2 !== 0) fail("headDim", `Heads of ${headDim} elements cannot be rotated in pairs`);
  if (!(rmsNormEps > 0 && rmsNormEps < 1)) fail("rmsNormEps", `The epsilon of the norms is ${rmsNormEps}`);
  if (!(ropeTheta >= 1 && Number.isFinite(ropeTheta))) fail("ropeTheta", `The RoPE base is ${ropeTheta}`);
  if (ropeScaling) {
    const { factor, lowFreqFactor, highFreqFactor, originalContextLength } = ropeScaling;
    const positive = [factor, lowFreqFactor, highFreqFactor, originalContextLength].every(
      (value) => Number.isFinite(value) && value > 0,
    );
    if (!positive || highFreqFactor <= lowFreqFactor) {
      fail("ropeScaling", `The RoPE scaling is ${JSON.stringify(ropeScaling)}`);
    }
  }
  checkSwitches(config, fail);
  return config;
}

function checkSwitches(config: ModelConfig, fail: (key: string, what: string) => never): void {
  const dim = ropeDimOf(config);
  if (!Number.isInteger(dim) || dim < 2 || dim > config.headDim || dim % 2 !== 0)
    fail("ropeDim", `${dim} of ${config.headDim} elements of a head are to be turned in pairs`);
  const scales = [
    "ropeDivisor",
    "embeddingScale",
    "attentionScale",
    "residualScale",
    "logitDivisor",
    "logitSoftcap",
  ] as const;
  for (const key of scales) {
    const value = config[key];
    if (value !== undefined && !(value > 0 && value < 1e9)) fail(key, `The configuration has ${key} = ${value}`);
  }
  const { window, longRope } = config;
  if (window) {
    const { size, ropeTheta = 1 } = window;
    if (!Number.isInteger(size) || size < 1 || size > MAX_CONTEXT_LENGTH)
      fail("window", `The sliding window has ${size} keys`);
    if (!(ropeTheta >= 1 && Number.isFinite(ropeTheta))) fail("window", `The RoPE base of the window is ${ropeTheta}`);
  }
  if (longRope) {
    const { shortFactors, longFactors, originalContextLength: original, magnitude } = longRope;
    const good = [...shortFactors, ...longFactors].every((factor) => factor > 0 && Number.isFinite(factor));
    if (!good || !(original >= 1) || !(magnitude > 0 && Number.isFinite(magnitude)))
      fail("longRope", "The factors of LongRoPE are not positive numbers");
  }
}
