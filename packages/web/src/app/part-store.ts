/** Pieces of one object that are here already, in the origin private file system. */
export interface KeptParts {
  /** Bytes from the start that are here, and were found to be as they were written. */
  readonly bytes: number;
  /** Keep the next piece. It is there when this returns, or not at all. */
  add(piece: Uint8Array): Promise<void>;
  /** All pieces after each other. They are not read into memory. */
  blob(): Promise<Blob>;
  /** Remove them. */
  remove(): Promise<void>;
}

const FOLDER = 'granary-downloads';
/** Where a piece begins, how long it is, and its SHA-256. */
const NAME = /^(\d+)-(\d+)-([0-9a-f]{64})$/;

/** The name of a content. */
export function contentOf({ sha256, size }: { sha256: string; size: number }): string {
  return `${sha256}-${size}`;
}

/**
 * The pieces of an object that a download has brought. An object is known by its content, so that a newer
 * version of the same name never goes on with pieces of the old one. Each piece's name has its hash, and a
 * piece that does not fit it is fetched anew, and all behind it.
 *
 * @param account - whose it is
 * @param content - of what: {@link contentOf}
 */
export async function openParts(account: string, content: string): Promise<KeptParts> {
  const mine = await folderOf(account);
  const name = content;
  const folder = await mine.getDirectoryHandle(name, { create: true });
  const found = new Map<number, { file: string; length: number; hash: string }>();
  for await (const file of folder.keys()) {
    const [, offset, length, hash] = NAME.exec(file) ?? [];
    if (hash !== undefined) {
      found.set(Number(offset), { file, length: Number(length), hash });
    }
  }
  const files: string[] = [];
  let bytes = 0;
  for (let next = found.get(0); next !== undefined; next = found.get(bytes)) {
    const file = await (await folder.getFileHandle(next.file)).getFile();
    const sound = file.size === next.length && next.length > 0;
    if (!sound || (await hashOf(await file.arrayBuffer())) !== next.hash) break;
    files.push(next.file);
    found.delete(bytes);
    bytes += next.length;
  }
  for (const { file } of found.values()) await folder.removeEntry(file);

  return {
    get bytes() {
      return bytes;
    },
    async add(piece) {
      const own = new Uint8Array(piece);
      const file = `${bytes}-${own.length}-${await hashOf(own.buffer)}`;
      const writable = await (await folder.getFileHandle(file, { create: true })).createWritable();
      await writable.write(own);
      // The file has its content from here on.
      await writable.close();
      files.push(file);
      bytes += own.length;
    },
    async blob() {
      const parts = files.map(async (file) => (await folder.getFileHandle(file)).getFile());
      return new Blob(await Promise.all(parts), { type: 'application/octet-stream' });
    },
    remove: () => mine.removeEntry(name, { recursive: true }),
  };
}

/** Whether there is room for so many bytes, with some to spare. */
export async function hasRoomFor(bytes: number): Promise<boolean> {
  const storage = (navigator as { storage?: Partial<StorageManager> }).storage;
  if (storage?.getDirectory === undefined || storage.estimate === undefined) return false;
  const { quota = 0, usage = 0 } = await storage.estimate();
  return quota - usage > bytes * 1.1;
}

/** Remove pieces of all contents but those for which `wanted` says so. */
export async function removePartsExcept(
  account: string,
  wanted: (content: string) => Promise<boolean>,
): Promise<void> {
  const mine = await folderOf(account);
  const contents: string[] = [];
  for await (const content of mine.keys()) contents.push(content);
  for (const content of contents) {
    if (!(await wanted(content))) await mine.removeEntry(content, { recursive: true });
  }
}

/** Remove all pieces of an account. */
export async function removeAllParts(account: string): Promise<void> {
  const root = await navigator.storage.getDirectory();
  try {
    const all = await root.getDirectoryHandle(FOLDER);
    await all.removeEntry(account, { recursive: true });
  } catch (error) {
    if (!(error instanceof DOMException) || error.name !== 'NotFoundError') throw error;
  }
}

async function folderOf(account: string): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  const all = await root.getDirectoryHandle(FOLDER, { create: true });
  return all.getDirectoryHandle(account, { create: true });
}

async function hashOf(bytes: ArrayBuffer): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
