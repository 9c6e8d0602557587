import { once } from 'node:events';
import type { Writable } from 'node:stream';

/** Write to stdout, as fast as the reader reads. False when the reader has gone. */
export async function writeOut(
  bytes: Uint8Array,
  stdout: Writable = process.stdout,
): Promise<boolean> {
  if (stdout.destroyed || stdout.writableEnded) return false;
  if (stdout.write(bytes)) return true;
  // Whichever does not come is waited for no longer: a large object is written thousands of times.
  const over = new AbortController();
  const { signal } = over;
  try {
    await Promise.race([once(stdout, 'drain', { signal }), once(stdout, 'close', { signal })]);
  } finally {
    over.abort();
  }
  return !stdout.destroyed;
}
