import * as deltallm from "deltallm";
import { story } from "deltallm/story";
import { run } from "./run.js";

run(deltallm, story);
