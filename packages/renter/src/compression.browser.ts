// gzip (RFC 1952) in browsers, by their own Compression Streams: see compression.ts. It also runs in
// Node, where the tests compare the two.
import { concatBytes } from '@granary/kad';

/** Compress what fits into memory. */
export async function gzip(bytes: Uint8Array): Promise<Uint8Array> {
  return gather(gzipStream(only(bytes)), Infinity);
}

/** Expand what fits into memory. @throws Error when it is damaged, or comes to more than `most` bytes. */
export async function gunzip(bytes: Uint8Array, most: number): Promise<Uint8Array> {
  return gather(gunzipStream(only(bytes)), most);
}

/** Compress bytes as they come. */
export function gzipStream(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  return through(source, new CompressionStream('gzip'));
}

/** Expand bytes as they come. @throws Error when they are damaged or cut short. */
export function gunzipStream(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  return through(source, new DecompressionStream('gzip'));
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function gather(source: AsyncIterable<Uint8Array>, most: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of source) {
    size += part.length;
    if (size > most) throw new Error(`it comes to more than ${most} bytes`);
    parts.push(part);
  }
  return concatBytes(...parts);
}

async function* through(
  source: AsyncIterable<Uint8Array>,
  { writable, readable }: CompressionStream | DecompressionStream,
): AsyncGenerator<Uint8Array> {
  const writer = writable.getWriter();
  const reader = readable.getReader();
  let failure: { error: unknown } | undefined;
  const write = async () => {
    try {
      for await (const bytes of source) {
        await writer.ready;
        await writer.write(bytes as Uint8Array<ArrayBuffer>);
      }
      await writer.close();
    } catch (error) {
      failure ??= { error };
      await writer.abort(error).catch(() => undefined);
    }
  };
  const writing = write();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      yield value;
    }
    await writing;
  } catch (error) {
    // What the source threw says more than that the stream was given up for it.
    throw failure === undefined ? error : failure.error;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
  if (failure !== undefined) throw failure.error;
}
