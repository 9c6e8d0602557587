// Files in browsers: what the user chose, and those of the origin private file system. See local-files.ts.
import { type Manifest } from '@granary/protocol';
import { RenterError, messageOf } from './errors.js';
import { readObject } from './object-download.js';
import type { SharedContent } from './object-to-file.js';
import type { FileTarget, SourceReader } from './put-source.js';
import type { RenterCore } from './renter-core.js';
import type { OnProgress } from './renter-types.js';

const notHere = (what: string) =>
  Promise.reject(new RenterError('RENTER_PLATFORM', `a page has no files by name: ${what}`));

/** There are no paths here. @throws RenterError RENTER_PLATFORM. */
export function openLocalFile(_path: string): Promise<SourceReader> {
  return notHere('put a File or a Blob');
}

/** There are no paths here. @throws RenterError RENTER_PLATFORM. */
export function exportStore(_core: RenterCore, _path: string): Promise<number> {
  return notHere('the 24 words bring everything back');
}

/** There are no paths here. @throws RenterError RENTER_PLATFORM. */
export function importStore(_core: RenterCore, _path: string): Promise<number> {
  return notHere('recover with the 24 words');
}

/**
 * Read an object into a file of the page's. It has the new content when it is whole, and before that, or
 * when something fails, what it had.
 *
 * @throws RenterError RENTER_DESTINATION.
 */
export async function readObjectToFile(
  core: RenterCore,
  manifest: Manifest,
  target: string | FileTarget,
  onProgress: OnProgress | undefined,
  signal: AbortSignal,
): Promise<{ manifest: Manifest; resumedBytes: number }> {
  const all = { offset: 0, length: manifest.size, patient: true };
  await writeFileAnew(target, readObject(core, manifest, all, onProgress, signal));
  return { manifest, resumedBytes: 0 };
}

/** As {@link readObjectToFile}, of what somebody else has stored. @throws RenterError RENTER_DESTINATION. */
export async function readContentToFile(
  content: SharedContent,
  target: string | FileTarget,
  onProgress: OnProgress | undefined,
): Promise<{ resumedBytes: number }> {
  await writeFileAnew(target, content.read(0, content.size, onProgress));
  return { resumedBytes: 0 };
}

async function writeFileAnew(
  target: string | FileTarget,
  source: AsyncIterable<Uint8Array>,
): Promise<void> {
  if (typeof target === 'string') return notHere('get into a FileSystemFileHandle');
  const file = await target.createWritable().catch((error: unknown) => {
    throw destinationError(target, error);
  });
  try {
    for await (const bytes of source) {
      await file.write(bytes as Uint8Array<ArrayBuffer>).catch((error: unknown) => {
        throw destinationError(target, error);
      });
    }
    await file.close();
  } catch (error) {
    await file.abort(error).catch(() => undefined);
    throw error;
  }
}

function destinationError({ name }: FileTarget, cause: unknown): RenterError {
  return new RenterError('RENTER_DESTINATION', `${name} can't be written: ${messageOf(cause)}`, {
    cause,
  });
}
