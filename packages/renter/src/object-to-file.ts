import { type Hash, createHash } from 'node:crypto';
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
import { damaged } from './share-pages.js';
import { syncDirectory } from './sync-directory.js';

/** Read an object into a new file; see {@link Renter.getToFile}. */
export async function readObjectToFile(
  core: RenterCore,
  manifest: Manifest,
  file: string | FileTarget,
  onProgress: OnProgress | undefined,
  signal: AbortSignal,
): Promise<{ manifest: Manifest; resumedBytes: number }> {
  const resumedBytes = await writeFileAnew(file, manifest.objectId, async (handle) => {
    const kept = await verifyPart(core, manifest, handle);
    const range = { offset: kept, length: manifest.size - kept, patient: true };
    const progress = shifted(onProgress, kept, manifest.size);
    await append(handle, kept, readObject(core, manifest, range, progress, signal));
    return kept;
  });
  return { manifest, resumedBytes };
}

/**
 * Read into a new file what somebody else has stored, of which the hash of the whole is known and none of
 * its segments. What a read that was cut off has left goes on; when the whole is not what it should be then,
 * all of it is read anew.
 *
 * @throws RenterError RENTER_DESTINATION, RENTER_SHARE when the hash does not fit, and what reading throws.
 */
export async function readContentToFile(
  content: SharedContent,
  file: string | FileTarget,
  onProgress: OnProgress | undefined,
): Promise<{ resumedBytes: number }> {
  const { size, sha256, segmentBytes } = content;
  const resumedBytes = await writeFileAnew(file, sha256, async (handle) => {
    const { size: there } = await handle.stat();
    // Segments are the steps in which it is read anyway.
    const whole = Math.min(size, Math.floor(there / segmentBytes) * segmentBytes);
    for (const kept of whole > 0 ? [whole, 0] : [0]) {
      await handle.truncate(kept);
      const hash = createHash('sha256');
      await hashFile(handle, kept, hash);
      const progress = shifted(onProgress, kept, size);
      await append(handle, kept, hashed(content.read(kept, size - kept, progress), hash));
      if (hash.digest('hex') === sha256) return kept;
    }
    await handle.truncate(0);
    throw damaged();
  });
  return { resumedBytes };
}

/** What was shared, to be read into a file. */
export interface SharedContent {
  readonly size: number;
  /** Of the whole, in hex. */
  readonly sha256: string;
  /** Bytes of a full segment. */
  readonly segmentBytes: number;
  read(
    offset: number,
    length: number,
    onProgress: OnProgress | undefined,
  ): AsyncIterable<Uint8Array>;
}

/**
 * Write a file that has its name when it is whole. What is there of it stays, for the next time, when
 * something fails.
 *
 * @param content - of what: 8 digits of it tell parts of one content from those of others
 * @param fill - makes the file whole
 */
async function writeFileAnew<T>(
  file: string | FileTarget,
  content: string,
  fill: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  if (typeof file !== 'string') {
    throw new RenterError('RENTER_DESTINATION', 'files have paths here');
  }
  const target = resolve(file);
  const part = `${target}.${content.slice(0, 8)}.granary-part`;
  const handle = await openDestination(part);
  try {
    const done = await fill(handle);
    await handle.sync();
    await handle.close();
    await rename(part, target);
    await syncDirectory(dirname(target));
    return done;
  } catch (error) {
    await handle.close().catch(() => undefined);
    throw destinationError(error, part);
  }
}

async function append(
  handle: FileHandle,
  from: number,
  source: AsyncIterable<Uint8Array>,
): Promise<void> {
  let position = from;
  for await (const bytes of source) {
    await writeAll(handle, bytes, position);
    position += bytes.length;
  }
}

function shifted(
  onProgress: OnProgress | undefined,
  kept: number,
  total: number,
): OnProgress | undefined {
  return onProgress && ((p) => onProgress({ ...p, bytes: p.bytes + kept, total }));
}

async function* hashed(source: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const bytes of source) {
    hash.update(bytes);
    yield bytes;
  }
}

async function hashFile(file: FileHandle, length: number, hash: Hash): Promise<void> {
  const buffer = new Uint8Array(1024 * 1024);
  for (let at = 0; at < length;) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, length - at), at);
    if (bytesRead === 0) return;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
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
