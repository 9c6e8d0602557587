import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { LEAST_LARGE, largeHeader } from './frame-header.js';
import { TLS_RECORD } from './tls-record.js';

/**
 * Send a binary message by a WebSocket of `ws`, in its turn. A large one is not copied: `ws` writes its header and its
 * bytes together, of which TLS makes one piece first; here the header goes with as many of the bytes as fill a record.
 *
 * @param socket - without compression
 * @param stream - what it writes to
 * @param masked - as a client has to, by a mask that changes nothing
 * @param done - told when it went out, or that it never will
 */
export function sendLargeMessage(
  socket: WebSocket,
  stream: Duplex,
  bytes: Uint8Array,
  masked: boolean,
  done: (error?: Error) => void,
): void {
  if (bytes.length < LEAST_LARGE || socket.readyState !== socket.OPEN) {
    socket.send(bytes, (error) => done(error ?? undefined));
    return;
  }
  const header = largeHeader(bytes.length, masked);
  const first = TLS_RECORD - header.length;
  const begin = Buffer.concat([header, bytes.subarray(0, first)]);
  stream.write(begin);
  stream.write(bytes.subarray(first), (error) => done(error ?? undefined));
}
