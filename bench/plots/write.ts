import type { Run } from "../harness/suite.js";

export async function writePlots(_run: Run, _folder: string): Promise<string[]> {
  return [];
}
