/**
 * Address of the story model in this package, for `loadModel(story)`. In a module of its own and written so that
 * bundlers take the file (3 MB) along only where it is imported.
 */
export const story: URL = new URL("../weights/story.gguf", import.meta.url);
