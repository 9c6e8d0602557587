import type { ServerResponse } from 'node:http';
import type { S3Response } from '../s3/s3-response.js';

/** What came of sending an answer. */
export interface Sent {
  /** Bytes of the body. */
  readonly bytes: number;
  /** Why the answer was cut off; the connection is closed then. */
  readonly failure?: unknown;
}

/** Bytes that are given to the connection at one time: a slow client is to be seen moving. */
const PIECE = 64 * 1024;

/**
 * Send an answer, no faster than the client takes it. An answer that can't be finished ends the
 * connection, so that nobody takes a part for the whole.
 *
 * @param stallMs - how long a client may take nothing
 */
export async function sendResponse(
  response: ServerResponse,
  { status, headers, body }: S3Response,
  method: string,
  stallMs: number,
): Promise<Sent> {
  const text = typeof body === 'string' ? Buffer.from(body, 'utf8') : undefined;
  const bodiless = method === 'HEAD' || status === 204 || status === 304;
  response.writeHead(status, {
    ...(!bodiless && body === undefined && { 'content-length': '0' }),
    ...(text !== undefined && { 'content-length': String(text.length) }),
    ...headers,
  });
  let bytes = 0;
  try {
    if (text !== undefined && !bodiless) {
      bytes = text.length;
      response.end(text);
    } else if (body !== undefined && typeof body !== 'string' && !bodiless) {
      for await (const part of body) {
        for (let at = 0; at < part.length; at += PIECE) {
          const piece = part.subarray(at, at + PIECE);
          if (response.destroyed) throw new Error('the client went away');
          bytes += piece.length;
          if (!response.write(piece)) await drained(response, stallMs);
        }
      }
      const announced = headers['content-length'];
      if (announced !== undefined && Number(announced) !== bytes) {
        throw new Error(`${bytes} bytes came of ${announced}`);
      }
      response.end();
    } else response.end();
    await finished(response, stallMs);
    return { bytes };
  } catch (failure) {
    response.destroy();
    return { bytes, failure };
  }
}

function drained(response: ServerResponse, ms: number): Promise<void> {
  return once(response, 'drain', ms);
}

function finished(response: ServerResponse, ms: number): Promise<void> {
  return response.writableFinished ? Promise.resolve() : once(response, 'finish', ms);
}

function once(response: ServerResponse, event: 'drain' | 'finish', ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(new Error('the client takes nothing')), ms);
    const onEvent = () => end();
    const onClose = () => end(new Error('the client went away'));
    function end(error?: Error): void {
      clearTimeout(timer);
      response.off(event, onEvent).off('close', onClose);
      if (error === undefined) resolve();
      else reject(error);
    }
    response.on(event, onEvent).on('close', onClose);
    if (response.destroyed) onClose();
  });
}
