import * as deltallm from "deltallm";
import { run } from "./run.js";

run(deltallm, "embedded");
