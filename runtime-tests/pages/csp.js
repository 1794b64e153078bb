import * as deltallm from "/package/dist/browser/deltallm.js";
import { run } from "./run.js";

run(deltallm, "embedded");
