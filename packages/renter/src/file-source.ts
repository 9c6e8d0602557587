import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { RenterError, messageOf } from './errors.js';
import type { SourceReader } from './put-source.js';
import type { SourceMark } from './records.js';

async function markOf(path: string, file: FileHandle): Promise<SourceMark> {
  const { size, mtimeMs, ino } = await file.stat();
  return { file: resolve(path), size, modified: mtimeMs, inode: ino };
}

/** Open a file to be stored. @throws RenterError RENTER_SOURCE. */
export async function openLocalFile(path: string): Promise<SourceReader> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === 'ENOENT'
        ? 'there is no such file'
        : code === 'EACCES'
          ? 'no permission'
          : messageOf(error);
    throw new RenterError('RENTER_SOURCE', `${path} can't be read: ${why}`, { cause: error });
  }
  try {
    if (!(await file.stat()).isFile()) {
      throw new RenterError('RENTER_SOURCE', `${path} is not a file: put files one by one`);
    }
    const mark = await markOf(path, file);
    let position = 0;
    return {
      mark,
      async read(size, _signal, room = (length) => new Uint8Array(length)) {
        const want = Math.min(size, Math.max(0, mark.size - position));
        const bytes = room(want);
        let filled = 0;
        while (filled < want) {
          const { bytesRead } = await file.read(bytes, filled, want - filled, position + filled);
          if (bytesRead === 0) {
            throw new RenterError('RENTER_SOURCE', `${path} became shorter while it was read`);
          }
          filled += bytesRead;
        }
        position += want;
        return bytes;
      },
      async finish() {
        const now = await markOf(path, file);
        if (now.size !== mark.size || now.modified !== mark.modified) {
          throw new RenterError('RENTER_SOURCE', `${path} changed while it was read: put it again`);
        }
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}
