import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { type DataChannelSocket, LEAST_LARGE } from '@granary/kad';
import type { WebSocket } from 'ws';

/** The first byte of a message that is one binary frame, and the second where 8 bytes of length follow. */
const FIN_BINARY = 0x82;
const LENGTH_64 = 127;

/** Bytes before a message that a socket may need: the header of a large frame from a server (RFC 6455, section 5.2). */
export const HEADROOM = 10;

/** What transfers need of a renter's connection. WebSockets of `ws` have it. */
export interface RenterSocket {
  readonly readyState: number;
  readonly OPEN: 1;
  readonly isPaused: boolean;
  pause(): void;
  resume(): void;
  /** @param done - told when it went out, or that it never will */
  send(data: Uint8Array | string, done?: (error?: Error) => void): void;
  /**
   * Send what lies behind {@link HEADROOM} bytes of some memory, which are written to: header and bytes can then go out
   * in one piece, where TLS would copy two to make one of them.
   */
  sendRoomy?(memory: Uint8Array, done: (error?: Error) => void): void;
  close(code?: number): void;
  terminate(): void;
  on(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  once(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): unknown;
  once(event: 'close', listener: () => void): unknown;
}

/** A WebSocket of `ws`, without compression, as a renter's connection. @param stream - what it writes to */
export function webSocketAsSocket(socket: WebSocket, stream: Duplex): RenterSocket {
  return Object.assign(socket, {
    sendRoomy(memory: Uint8Array, done: (error?: Error) => void) {
      const length = memory.length - HEADROOM;
      if (length < LEAST_LARGE || socket.readyState !== socket.OPEN) {
        socket.send(memory.subarray(HEADROOM), done);
        return;
      }
      const header = new DataView(memory.buffer, memory.byteOffset, HEADROOM);
      header.setUint8(0, FIN_BINARY);
      header.setUint8(1, LENGTH_64);
      header.setBigUint64(2, BigInt(length));
      stream.write(memory, (error) => done(error ?? undefined));
    },
  });
}

/** A data channel of WebRTC as a renter's connection. */
export function channelAsSocket(channel: DataChannelSocket): RenterSocket {
  const events = new EventEmitter();
  // Errors end it in any case.
  events.on('error', () => undefined);
  const unsent = new Set<(error?: Error) => void>();
  let isPaused = false;
  channel.onmessage = ({ data }) => {
    const bytes = data instanceof Uint8Array ? data : Buffer.from(String(data));
    const { buffer, byteOffset, length } = bytes;
    events.emit('message', Buffer.from(buffer, byteOffset, length), bytes === data);
  };
  channel.onerror = ({ message }) => events.emit('error', new Error(message));
  channel.onclose = () => {
    for (const done of unsent) done(new Error('the data channel was closed'));
    unsent.clear();
    events.emit('close');
  };
  return {
    get readyState() {
      return channel.readyState;
    },
    OPEN: 1,
    get isPaused() {
      return isPaused;
    },
    pause() {
      isPaused = true;
      channel.pause();
    },
    resume() {
      isPaused = false;
      channel.resume();
    },
    send(data, done) {
      if (done !== undefined) unsent.add(done);
      try {
        channel.send(data, () => {
          if (done !== undefined && unsent.delete(done)) done();
        });
      } catch (error) {
        if (done !== undefined && unsent.delete(done)) done(error as Error);
      }
    },
    close: (code) => channel.close(code),
    terminate: () => channel.terminate(),
    on: (event: string, listener: (...args: never[]) => void) =>
      events.on(event, listener as (...args: unknown[]) => void),
    once: (event: string, listener: (...args: never[]) => void) =>
      events.once(event, listener as (...args: unknown[]) => void),
  };
}
