/** deltallm-engine.js, packed with gzip, in base64. Filled in by scripts/build-browser.mjs. */
export const engineText: string = "";
