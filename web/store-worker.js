// Keeps model files in the origin private file system. Runs in a worker: only there a file can be written in place.
// A file is written in chunks; each is read back and its digest noted, so that an interrupted copy goes on where it was
// and a finished one can be checked.
const CHUNK = 8 * 2 ** 20;

const folder = async () => (await navigator.storage.getDirectory()).getDirectoryHandle("models", { create: true });
const notes = (name) => `${name}.json`;
const running = new Map();

async function readNote(name) {
  try {
    const file = await (await (await folder()).getFileHandle(notes(name))).getFile();
    return JSON.parse(await file.text());
  } catch {
    return undefined;
  }
}

async function writeNote(name, note) {
  const access = await (await (await folder()).getFileHandle(notes(name), { create: true })).createSyncAccessHandle();
  try {
    access.truncate(0);
    access.write(new TextEncoder().encode(JSON.stringify(note)), { at: 0 });
    access.flush();
  } finally {
    access.close();
  }
}

async function digestOf(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Bytes of a file, or of an address with Range requests; tells the size first. */
async function open({ file, url }) {
  if (file) {
    const read = async (start, end) => new Uint8Array(await file.slice(start, end).arrayBuffer());
    return { size: file.size, version: `${file.size} ${file.lastModified}`, read };
  }
  const first = await fetch(url, { headers: { Range: "bytes=0-0" } });
  await first.body?.cancel();
  if (!first.ok) throw new Error(`The server answers ${first.status} ${first.statusText}`);
  const size = Number(/\/(\d+)$/.exec(first.headers.get("Content-Range") ?? "")?.[1]);
  if (first.status !== 206 || !size) throw new Error("This server does not serve parts of files");
  return {
    size,
    version: `${size} ${first.headers.get("ETag") ?? first.headers.get("Last-Modified") ?? ""}`,
    async read(start, end, signal) {
      const answer = await fetch(url, { headers: { Range: `bytes=${start}-${end - 1}` }, signal });
      const bytes = new Uint8Array(await answer.arrayBuffer());
      if (answer.status !== 206 || bytes.length !== end - start) throw new Error("The server sent something else");
      return bytes;
    },
  };
}

const operations = {
  /** Names and sizes of the finished files. */
  async list() {
    const found = [];
    for await (const [name] of (await folder()).entries()) {
      if (!name.endsWith(".json")) continue;
      const note = await readNote(name.slice(0, -5));
      if (note) found.push({ name: note.name, size: note.size, done: note.digests.length * note.chunk >= note.size });
    }
    return found;
  },

  /** Copies a file or an address; goes on where an earlier try ended. */
  async keep({ id, name, chunk = CHUNK, ...from }) {
    const controller = new AbortController();
    running.set(id, controller);
    const source = await open(from);
    const first = await source.read(0, Math.min(4, source.size));
    if (String.fromCharCode(...first) !== "GGUF") throw new Error(`${name} is not a GGUF file`);
    let note = await readNote(name);
    if (note?.size !== source.size || note?.version !== source.version)
      note = { name, size: source.size, version: source.version, chunk, digests: [] };
    const { quota = 0, usage = 0 } = await navigator.storage.estimate();
    const missing = source.size - note.digests.length * note.chunk;
    if (quota && missing > quota - usage)
      throw new Error(
        `Not enough room: ${Math.ceil(missing / 1e6)} MB wanted, ${Math.floor((quota - usage) / 1e6)} free`,
      );
    const handle = await (await folder()).getFileHandle(name, { create: true });
    const access = await handle.createSyncAccessHandle();
    try {
      const back = new Uint8Array(note.chunk);
      while (note.digests.length * note.chunk < source.size) {
        controller.signal.throwIfAborted();
        const start = note.digests.length * note.chunk;
        const bytes = await source.read(start, Math.min(start + note.chunk, source.size), controller.signal);
        const digest = await digestOf(bytes);
        access.write(bytes, { at: start });
        access.flush();
        const view = back.subarray(0, bytes.length);
        access.read(view, { at: start });
        if ((await digestOf(view)) !== digest) throw new Error("The disk gave back other bytes than were written");
        note.digests.push(digest);
        await writeNote(name, note);
        postMessage({ id, progress: (start + bytes.length) / source.size });
      }
    } finally {
      access.close();
      running.delete(id);
    }
  },

  /** The kept file, once its bytes are those that were written. */
  async open({ id, name }) {
    const controller = new AbortController();
    running.set(id, controller);
    const note = await readNote(name);
    const file = await (await (await folder()).getFileHandle(name)).getFile();
    try {
      for (const [i, digest] of (note?.digests ?? []).entries()) {
        controller.signal.throwIfAborted();
        const bytes = await file.slice(i * note.chunk, (i + 1) * note.chunk).arrayBuffer();
        if ((await digestOf(bytes)) !== digest) {
          await operations.drop({ name });
          throw new Error(`${name} was damaged on this device and is removed: get it again`);
        }
        postMessage({ id, progress: Math.min(1, ((i + 1) * note.chunk) / note.size) });
      }
    } finally {
      running.delete(id);
    }
    return file;
  },

  async drop({ name }) {
    const models = await folder();
    for (const each of [name, notes(name)]) await models.removeEntry(each).catch(() => {});
  },

  async cancel({ of }) {
    running.get(of)?.abort();
  },
};

addEventListener("message", async ({ data }) => {
  try {
    postMessage({ id: data.id, value: await operations[data.do](data) });
  } catch (error) {
    postMessage({ id: data.id, error: error.message, name: error.name });
  }
});
