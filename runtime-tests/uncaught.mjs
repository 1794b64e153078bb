// An error nobody catches, as a user sees it.
import { loadModel } from "deltallm";

await loadModel("/nowhere/none.gguf");
