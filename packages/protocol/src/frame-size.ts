import { MAX_DATA_FRAME } from './transfer-messages.js';

/** How long a frame should be on its way: a small part of the time after which a silent peer is given up. */
const FRAME_SECONDS = 1 / 4;
/** Smaller ones cost more than they are good for. */
const LEAST = 64 * 1024;

/**
 * Bytes in a binary frame for a connection that moves so many a second: each frame costs both sides the same, however
 * large it is, but nothing is heard from a slow peer until a whole one is there.
 *
 * @returns a power of two from 64 KiB to {@link MAX_DATA_FRAME}
 */
export function frameSizeAt(bytesPerSecond: number): number {
  const wanted = bytesPerSecond * FRAME_SECONDS;
  let size = LEAST;
  while (size < MAX_DATA_FRAME && 2 * size <= wanted) size *= 2;
  return size;
}
