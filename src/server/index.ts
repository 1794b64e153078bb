export type { Handler } from "./handler.js";
export { createHandler } from "./handler.js";
export type { HandlerOptions, RequestRecord, ServedModel } from "./options.js";
export { type RunningServer, type ServeOptions, serve } from "./serve.js";
