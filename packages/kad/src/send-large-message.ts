import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { LEAST_LARGE } from './large-messages.js';

/** The first bytes of a frame (RFC 6455, section 5.2): all of a binary message; its length follows in 8 bytes; a mask, too. */
const FIN_BINARY = 0x82;
const LENGTH_64 = 127;
const MASKED = 0x80;
/** Bytes in a TLS record at most (RFC 8446, section 5.1). */
const RECORD = 16 * 1024;

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
  const size = masked ? 14 : 10;
  const first = RECORD - size;
  const begin = Buffer.alloc(RECORD);
  begin.writeUInt8(FIN_BINARY, 0);
  begin.writeUInt8(LENGTH_64 | (masked ? MASKED : 0), 1);
  begin.writeBigUInt64BE(BigInt(bytes.length), 2);
  begin.set(bytes.subarray(0, first), size);
  stream.write(begin);
  stream.write(bytes.subarray(first), (error) => done(error ?? undefined));
}
