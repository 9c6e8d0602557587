import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { type DataChannelSocket, sendLargeMessage } from '@granary/kad';
import type { WebSocket } from 'ws';

/** What transfers need of a renter's connection. WebSockets of `ws` have it. */
export interface RenterSocket {
  readonly readyState: number;
  readonly OPEN: 1;
  readonly isPaused: boolean;
  pause(): void;
  resume(): void;
  /** @param done - told when it went out, or that it never will */
  send(data: Uint8Array | string, done?: (error?: Error) => void): void;
  /** Send bytes without a copy of them being made, where that can be. */
  sendBytes?(bytes: Uint8Array, done: (error?: Error) => void): void;
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
    sendBytes: (bytes: Uint8Array, done: (error?: Error) => void) =>
      sendLargeMessage(socket, stream, bytes, false, done),
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
