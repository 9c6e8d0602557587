/** A file that the user has chosen. */
export interface ChosenFile {
  /** Its name, with the folders that it was chosen with: `holidays/2024/sea.jpg`. */
  readonly path: string;
  readonly file: File;
  /** The way back to it after a reload, where the browser has one. */
  readonly handle?: FileSystemFileHandle;
}

/** The most files taken at a time. */
export const MAX_FILES = 5_000;

interface WithHandle {
  getAsFileSystemHandle?(): Promise<FileSystemHandle | null>;
}

/**
 * The files of a drop, those in folders among them. To be called in the event itself: what was dropped is
 * gone after it.
 */
export async function droppedFiles(transfer: DataTransfer): Promise<ChosenFile[]> {
  const items = [...transfer.items]
    .filter(({ kind }) => kind === 'file')
    .map((item) => ({
      handle: (item as WithHandle).getAsFileSystemHandle?.().catch(() => null),
      entry: item.webkitGetAsEntry(),
      file: item.getAsFile(),
    }));
  const found: ChosenFile[] = [];
  for (const { handle, entry, file } of items) {
    const known = (await handle) ?? undefined;
    if (known?.kind === 'directory') {
      await walkHandle(known as FileSystemDirectoryHandle, '', found);
    } else if (entry?.isDirectory === true) {
      await walkEntry(entry as FileSystemDirectoryEntry, '', found);
    } else if (file !== null) {
      const way = known as FileSystemFileHandle | undefined;
      found.push({ path: file.name, file, ...(way !== undefined && { handle: way }) });
    }
  }
  return found.slice(0, MAX_FILES);
}

/** The files of an `<input type="file">`; of folders when it is one for them. */
export function pickedFiles(files: FileList): ChosenFile[] {
  return [...files].slice(0, MAX_FILES).map((file) => ({
    path: file.webkitRelativePath === '' ? file.name : file.webkitRelativePath,
    file,
  }));
}

async function walkHandle(
  folder: FileSystemDirectoryHandle,
  above: string,
  found: ChosenFile[],
): Promise<void> {
  const path = `${above}${folder.name}/`;
  for await (const child of folder.values()) {
    if (found.length >= MAX_FILES) return;
    if (child.kind === 'directory') {
      await walkHandle(child as FileSystemDirectoryHandle, path, found);
    } else {
      const handle = child as FileSystemFileHandle;
      found.push({ path: `${path}${handle.name}`, file: await handle.getFile(), handle });
    }
  }
}

async function walkEntry(
  folder: FileSystemDirectoryEntry,
  above: string,
  found: ChosenFile[],
): Promise<void> {
  const path = `${above}${folder.name}/`;
  const reader = folder.createReader();
  for (;;) {
    const children = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    // It gives some at a time.
    if (children.length === 0 || found.length >= MAX_FILES) return;
    for (const child of children) {
      if (child.isDirectory) await walkEntry(child as FileSystemDirectoryEntry, path, found);
      else {
        const file = await new Promise<File>((resolve, reject) =>
          (child as FileSystemFileEntry).file(resolve, reject),
        );
        found.push({ path: `${path}${child.name}`, file });
      }
    }
  }
}
