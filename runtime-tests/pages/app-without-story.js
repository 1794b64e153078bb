import * as deltallm from "deltallm";
import { run } from "./run.js";

// A model the page has put somewhere itself.
run(deltallm, new URLSearchParams(location.search).get("source"));
