// gzip (RFC 1952) in Node. `#renter/compression` in package.json chooses between this file and
// compression.browser.ts; both export the same names.
import { Readable } from 'node:stream';
import { createGunzip, createGzip, gunzipSync, gzipSync } from 'node:zlib';

/** Compress what fits into memory. */
export async function gzip(bytes: Uint8Array): Promise<Uint8Array> {
  return gzipSync(bytes);
}

/** Expand what fits into memory. @throws Error when it is damaged, or comes to more than `most` bytes. */
export async function gunzip(bytes: Uint8Array, most: number): Promise<Uint8Array> {
  return gunzipSync(bytes, { maxOutputLength: most });
}

/** Compress bytes as they come. */
export async function* gzipStream(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* through(source, createGzip());
}

/** Expand bytes as they come. @throws Error when they are damaged or cut short. */
export async function* gunzipStream(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* through(source, createGunzip());
}

async function* through(
  source: AsyncIterable<Uint8Array>,
  transform: ReturnType<typeof createGzip>,
): AsyncGenerator<Uint8Array> {
  const input = Readable.from(source);
  input.on('error', (error) => transform.destroy(error));
  try {
    for await (const bytes of input.pipe(transform)) yield bytes as Buffer;
  } finally {
    input.destroy();
    transform.destroy();
  }
}
