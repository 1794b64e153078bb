/**
 * Options of a worker of Node: it inherits the arguments of the process, except that those which run a text
 * (`node --input-type=module -e …`) would keep a worker from running a file.
 */
export function workerArguments(): { execArgv?: string[] } {
  const inherited = globalThis.process?.execArgv ?? [];
  return inherited.some((argument) => argument.startsWith("--input-type")) ? { execArgv: [] } : {};
}
