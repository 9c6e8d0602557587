import { type FileHandle, open as openFile, rename } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Manifest, toHex } from '@granary/protocol';
import { messageOf } from '@granary/kad';
import { RenterError } from './errors.js';
import { readObject } from './object-download.js';
import { type RenterCore, frameOf, segmentOf } from './renter-core.js';
import type { FileTarget } from './put-source.js';
import type { OnProgress } from './renter-types.js';
import { saltOfSegment } from './segment-job.js';
import { syncDirectory } from './sync-directory.js';

/** Read an object into a new file; see {@link Renter.getToFile}. */
export async function readObjectToFile(
  core: RenterCore,
  manifest: Manifest,
  file: string | FileTarget,
  onProgress: OnProgress | undefined,
  signal: AbortSignal,
): Promise<{ manifest: Manifest; resumedBytes: number }> {
  if (typeof file !== 'string') {
    throw new RenterError('RENTER_DESTINATION', 'files have paths here');
  }
  const target = resolve(file);
  const part = `${target}.${manifest.objectId.slice(0, 8)}.granary-part`;
  const handle = await openDestination(part);
  try {
    const resumedBytes = await verifyPart(core, manifest, handle);
    let position = resumedBytes;
    const rest = manifest.size - resumedBytes;
    const shifted: OnProgress | undefined =
      onProgress &&
      ((p) => onProgress({ ...p, bytes: p.bytes + resumedBytes, total: manifest.size }));
    for await (const bytes of readObject(core, manifest, resumedBytes, rest, shifted, signal)) {
      await writeAll(handle, bytes, position);
      position += bytes.length;
    }
    await handle.sync();
    await handle.close();
    await rename(part, target);
    await syncDirectory(dirname(target));
    return { manifest, resumedBytes };
  } catch (error) {
    await handle.close().catch(() => undefined);
    throw destinationError(error, part);
  }
}

/** How many bytes at the front of a file are whole segments of the object; the rest is cut off. */
async function verifyPart(core: RenterCore, manifest: Manifest, file: FileHandle): Promise<number> {
  const frame = frameOf(core, manifest);
  const { size } = await file.stat();
  let verified = 0;
  for (let index = 0; index < manifest.segments; index += 1) {
    const segment = await segmentOf(core, manifest, index);
    if (verified + segment.length > size) break;
    const bytes = new Uint8Array(segment.length);
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await file.read(
        bytes,
        filled,
        bytes.length - filled,
        verified + filled,
      );
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    if (toHex(await saltOfSegment(frame, index, bytes)) !== segment.salt) break;
    verified += segment.length;
  }
  if (size > verified) await file.truncate(verified);
  return verified;
}

async function openDestination(path: string): Promise<FileHandle> {
  try {
    await openFile(path, 'a', 0o666).then((file) => file.close());
    return await openFile(path, 'r+');
  } catch (error) {
    throw destinationError(error, path);
  }
}

function destinationError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  const syscall = (error as NodeJS.ErrnoException).syscall;
  if (error instanceof RenterError || syscall === undefined) return error;
  if (code === 'ENOSPC') return error;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return error;
  return new RenterError('RENTER_DESTINATION', `${path} can't be written: ${messageOf(error)}`, {
    cause: error,
  });
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}
