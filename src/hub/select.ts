import { OptionError } from "../errors.js";
import type { RepositoryFile } from "./api.js";

/** What is chosen of a repository. */
export interface Selection<File> {
  container: "gguf" | "safetensors";
  /** The file to open; of safetensors the folder is opened, and this is its weights file when the name says one. */
  main: string;
  /** Every file that is needed, in the order of their download. */
  files: File[];
}

/** Tried in this order when no quantisation is named: llama.cpp's two, then ternary files, which are made for few bits. */
const PREFERRED = ["Q4_K_M", "Q8_0", "I2_S", "TQ2_0", "TQ1_0"];
/** Quantisations that are not supported; chosen only when named. */
const FOREIGN = /(?:^|[-_./])(?:IQ\d|MXFP|NVFP|Q[48]_0_\d|TL[12])/i;
/** A model takes at most 4 GiB, weights and all. */
const MOST_BYTES = 2 ** 32;
const MOST_SHOWN = 30;

type FileLike = Pick<RepositoryFile, "path" | "size">;

/** Parts of one model, or a model in one file. */
interface Candidate<File> {
  /** Path without part number and `.gguf`. */
  stem: string;
  parts: File[];
  bytes: number;
  /** Parts the names speak of. */
  count: number;
}

/**
 * Chooses files by llama.cpp's rule: a quantisation names the files whose path has it before `.` or `-`; without one
 * Q4_K_M, then Q8_0, then the first that is run here. Several different models that fit are an error with a list.
 * @param where for messages
 * @throws OptionError when none or several fit
 */
export function selectFiles<File extends FileLike>(
  all: readonly File[],
  name: { quant?: string | undefined; file?: string | undefined },
  where: string,
): Selection<File> {
  if (name.file !== undefined) {
    const exact = all.find(({ path }) => path === name.file) ?? all.find(({ path }) => same(path, name.file as string));
    if (exact) return selectFile(all, exact, where);
    const below = all.filter(({ path }) => path.startsWith(`${name.file}/`));
    if (below.length === 0) throw new OptionError(`${where} has no file ${name.file}`, {}, `It has ${listFiles(all)}`);
    return selectFiles(below, {}, `${where}/${name.file}`);
  }
  const candidates = groupParts(all.filter(({ path }) => isModel(path)));
  if (name.quant !== undefined) {
    const fitting = withTag(candidates, name.quant);
    return gguf(one(fitting, candidates, `no ${name.quant}`, where, name.quant), where);
  }
  if (candidates.length === 0) {
    const folders = [...new Set(all.filter(({ path }) => isWeights(path)).map(({ path }) => folderOf(path)))];
    const folder = folders.includes("") ? "" : folders.length === 1 ? folders[0] : undefined;
    if (folder !== undefined) return safetensors(all, folder, undefined, where);
    if (folders.length)
      throw new OptionError(
        `${where} has several models`,
        {},
        `Name one of the folders ${folders.slice(0, MOST_SHOWN).join(", ")}`,
      );
    throw new OptionError(`${where} has neither GGUF nor safetensors files`, {}, `It has ${listFiles(all)}`);
  }
  const usable = candidates.filter(({ stem, bytes }) => !FOREIGN.test(stem) && bytes <= MOST_BYTES);
  const pool = usable.length ? usable : candidates;
  for (const tag of PREFERRED) {
    const fitting = withTag(pool, tag);
    if (fitting.length) return gguf(one(fitting, candidates, "", where, tag), where);
  }
  // Files that differ in their quantisation only are one model in several sizes: the first is taken, as llama.cpp does.
  const stems = new Set(
    pool.map(({ stem }) => stem.replace(/[-._](?:UD-)?(?:[IT]?Q\d\w*|[BF]{0,2}(?:16|32)|I2_S)$/i, "")),
  );
  return gguf(stems.size === 1 ? (pool[0] as Candidate<File>) : one(pool, candidates, "", where), where);
}

/** One named file, with whatever belongs to it. */
function selectFile<File extends FileLike>(all: readonly File[], file: File, where: string): Selection<File> {
  if (/\.safetensors$/i.test(file.path)) return safetensors(all, folderOf(file.path), file.path, where);
  if (!/\.gguf$/i.test(file.path))
    throw new OptionError(`${file.path} of ${where} is neither a GGUF nor a safetensors file`);
  const group = groupParts(all.filter(({ path }) => /\.gguf$/i.test(path))).find(({ parts }) => parts.includes(file));
  return gguf(group as Candidate<File>, where);
}

function gguf<File extends FileLike>({ parts, count, stem }: Candidate<File>, where: string): Selection<File> {
  if (parts.length !== count)
    throw new OptionError(`${where} has ${parts.length} of the ${count} parts of ${stem}`, {}, "Choose another file");
  return { container: "gguf", main: (parts[0] as File).path, files: parts };
}

/** config.json, the tokenizer and the weights of a folder. */
function safetensors<File extends FileLike>(
  all: readonly File[],
  folder: string,
  weights: string | undefined,
  where: string,
): Selection<File> {
  const here = all.filter(({ path }) => folderOf(path) === folder);
  // Pooling and what comes after it, of models for embeddings.
  const modules = all.filter(({ path }) =>
    /^\d_(?:Pooling|Dense)\/(?:config\.json|model\.safetensors)$/.test(
      path.startsWith(folder) ? path.slice(folder.length) : path,
    ),
  );
  const named = (pattern: RegExp) => here.filter(({ path }) => pattern.test(path.slice(folder.length)));
  const small = named(
    /^(?:config|generation_config|tokenizer|tokenizer_config|special_tokens_map|chat_template|model\.safetensors\.index|modules)\.json$|^(?:chat_template\.jinja|tokenizer\.model)$/,
  );
  const shard = weights !== undefined && /-\d{5}-of-\d{5}\.safetensors$/.test(weights);
  const whole = named(/^model\.safetensors$/);
  const shards = named(/^model-\d{5}-of-\d{5}\.safetensors$/);
  const chosen =
    weights !== undefined && !shard ? here.filter(({ path }) => path === weights) : whole.length ? whole : shards;
  if (chosen.length === 0) throw new OptionError(`${where} has no model.safetensors`, {}, `It has ${listFiles(all)}`);
  return {
    container: "safetensors",
    main: weights !== undefined && !shard ? weights : folder,
    files: [...small, ...modules, ...chosen],
  };
}

function one<File extends FileLike>(
  fitting: Candidate<File>[],
  all: Candidate<File>[],
  missing: string,
  where: string,
  tag?: string,
): Candidate<File> {
  if (fitting.length === 1) return fitting[0] as Candidate<File>;
  const show = (list: Candidate<File>[]) =>
    list
      .slice(0, MOST_SHOWN)
      .map(({ parts, bytes }) => `${(parts[0] as File).path} (${megabytes(bytes)})`)
      .join(", ") + (list.length > MOST_SHOWN ? ` and ${list.length - MOST_SHOWN} more` : "");
  if (fitting.length === 0)
    throw new OptionError(`${where} has ${missing}`, {}, all.length ? `It has ${show(all)}` : "It has no GGUF files");
  // `UD-Q4_K_M` has the tag Q4_K_M too; who does not name it means the plain one.
  const plain =
    tag === undefined ? [] : fitting.filter(({ stem }) => !new RegExp(`UD-${escaped(tag)}`, "i").test(stem));
  if (plain.length === 1) return plain[0] as Candidate<File>;
  throw new OptionError(
    `${where} has ${fitting.length} models that fit`,
    {},
    `Name one of the files after a slash: ${show(fitting)}`,
  );
}

function groupParts<File extends FileLike>(files: readonly File[]): Candidate<File>[] {
  const groups = new Map<string, Candidate<File> & { numbers: Map<number, File> }>();
  for (const file of files) {
    const match = /^(.+?)(?:-(\d{5})-of-(\d{5}))?\.gguf$/i.exec(file.path);
    if (!match) continue;
    const [, stem = "", number = "1", total = "1"] = match;
    const key = `${stem}/${total}`;
    const group = groups.get(key) ?? { stem, parts: [], bytes: 0, count: Number(total), numbers: new Map() };
    group.numbers.set(Number(number), file);
    group.bytes += file.size;
    groups.set(key, group);
  }
  return [...groups.values()].map(({ numbers, ...group }) => ({
    ...group,
    parts: [...numbers].sort(([a], [b]) => a - b).map(([, file]) => file),
  }));
}

function isModel(path: string): boolean {
  return /\.gguf$/i.test(path) && !/mmproj|imatrix|mtp-|eagle3-|dflash-|dspark-/i.test(path.split("/").pop() as string);
}

function isWeights(path: string): boolean {
  return /(?:^|\/)model(?:-\d{5}-of-\d{5})?\.safetensors$/.test(path);
}

/** As llama.cpp has it: the tag, then `.` or `-`, anywhere in the path. Those where it is a whole word come before others. */
function withTag<File>(candidates: Candidate<File>[], tag: string): Candidate<File>[] {
  const fitting = (pattern: RegExp) => candidates.filter(({ stem }) => pattern.test(`${stem}.`));
  const whole = fitting(new RegExp(`(?:^|[-._/])${escaped(tag)}[.-]`, "i"));
  return whole.length ? whole : fitting(new RegExp(`${escaped(tag)}[./-]`, "i"));
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/") + 1);
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function listFiles(all: readonly FileLike[]): string {
  if (all.length === 0) return "no files";
  const shown = all.slice(0, MOST_SHOWN).map(({ path }) => path);
  return shown.join(", ") + (all.length > MOST_SHOWN ? ` and ${all.length - MOST_SHOWN} more` : "");
}

/** Bytes as people read them. */
export function megabytes(bytes: number): string {
  return bytes < 1e6
    ? `${Math.ceil(bytes / 1e3)} kB`
    : bytes < 1e9
      ? `${(bytes / 1e6).toFixed(0)} MB`
      : `${(bytes / 1e9).toFixed(2)} GB`;
}
