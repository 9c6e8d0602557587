import type { IncomingMessage, ServerResponse } from 'node:http';

/** A request's body: counted, and asked for only when it is read. */
export interface IncomingBody {
  readonly stream: AsyncIterable<Uint8Array>;
  /** Bytes that came so far. */
  bytes(): number;
}

/**
 * The body of a request. A client that waits to be asked for it (`Expect: 100-continue`) is asked when
 * the first byte is wanted, so that it sends nothing to who would refuse it.
 */
export function incomingBody(request: IncomingMessage, response: ServerResponse): IncomingBody {
  let bytes = 0;
  async function* stream(): AsyncGenerator<Uint8Array> {
    if (/^100-continue$/i.test(request.headers.expect ?? '')) response.writeContinue();
    // To stop reading must not end the connection, on which the answer is still to go.
    const parts = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
    for await (const part of parts) {
      bytes += part.length;
      yield part;
    }
  }
  return { stream: stream(), bytes: () => bytes };
}

/**
 * Take what is left of a body that nobody wanted, so that its sender gets to read the answer; not for
 * ever, and not without end.
 */
export function drain(
  request: IncomingMessage,
  { bytes, ms }: { readonly bytes: number; readonly ms: number },
): Promise<void> {
  return new Promise((resolve) => {
    if (request.complete || request.destroyed) return resolve();
    let left = bytes;
    const timer = setTimeout(end, ms);
    function end(): void {
      clearTimeout(timer);
      request.off('data', onData).off('end', end).off('error', end).off('close', end);
      resolve();
    }
    function onData(part: Buffer): void {
      left -= part.length;
      if (left < 0) end();
    }
    request.on('data', onData).on('end', end).on('error', end).on('close', end).resume();
  });
}
