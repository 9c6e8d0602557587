import type { Duplex } from 'node:stream';
import { LEAST_LARGE, headerAt } from './frame-header.js';

/** Takes the payload of large binary messages while it comes, which else would be gathered and then copied. */
export interface LargeMessages {
  /**
   * A binary message of this many bytes begins, which are at least 65,536.
   *
   * @returns whether it is taken here; else it goes the usual way
   */
  begin(length: number): boolean;
  /**
   * The next bytes of it. They are read before the call returns, and not kept.
   *
   * @param lent - their memory will be used again; else it has served its time
   */
  take(bytes: Uint8Array, lent: boolean): void;
  /** All of it was taken. */
  end(): void;
}

/**
 * Lead large binary messages of a WebSocket of `ws` past it. It goes on to see all other frames, in their order, and
 * stays the judge of what breaks the protocol.
 *
 * To be called before anything that matters can have come. Messages in several frames, and those that a mask changes,
 * are left to `ws`.
 *
 * @param socket - without compression, and with events as they come (both are options of `ws`)
 * @param stream - what it reads from
 * @returns takes what comes without `data` events of the stream, in memory that may be used again when it returns
 */
export function leadLargeMessages(
  socket: { once(event: 'error', listener: () => void): unknown },
  stream: Duplex,
  to: LargeMessages,
): (bytes: Buffer) => void {
  const listeners = stream.listeners('data') as ((this: Duplex, bytes: Buffer) => void)[];
  /** The beginning of a header that came without the rest. */
  let held: Buffer | undefined;
  /** Bytes of the frame under way that are still to come, and whether they are led past. */
  let left = 0;
  let taking = false;
  /** A message in several frames has begun. */
  let fragmented = false;
  let broken = false;
  /** What is read is in memory that will be used again, and `ws` keeps what it gets. */
  let lent = false;

  const pass = (bytes: Buffer) => {
    if (bytes.length === 0 || broken) return;
    const kept = lent ? Buffer.from(bytes) : bytes;
    for (const listener of listeners) listener.call(stream, kept);
  };

  const read = (chunk: Buffer) => {
    const bytes = held === undefined ? chunk : Buffer.concat([held, chunk]);
    held = undefined;
    /** All before it was passed on or taken. */
    let from = 0;
    for (let at = 0; at < bytes.length && !broken;) {
      if (left > 0) {
        const end = Math.min(at + left, bytes.length);
        left -= end - at;
        if (taking) {
          to.take(bytes.subarray(at, end), lent);
          from = end;
          if (left === 0) {
            taking = false;
            to.end();
          }
        }
        at = end;
        continue;
      }
      const header = headerAt(bytes, at);
      if (header === undefined) {
        held = Buffer.from(bytes.subarray(at));
        return pass(bytes.subarray(from, at));
      }
      const { fin, control, binary, size, length, plain } = header;
      const whole = fin && binary && !fragmented;
      if (whole && plain && length >= LEAST_LARGE && Number.isSafeInteger(length)) {
        // What came before it may change whether it is wanted.
        pass(bytes.subarray(from, at));
        from = at;
        taking = !broken && to.begin(length);
        if (taking) from = at + size;
      }
      if (!control) fragmented = !fin;
      at += size;
      left = length;
    }
    pass(bytes.subarray(from));
  };

  socket.once('error', () => (broken = true));
  stream.on('data', read);
  for (const listener of listeners) stream.removeListener('data', listener);
  // Before `ws` itself looks for what is left.
  stream.prependListener('close', () => {
    stream.removeListener('data', read);
    const rest = stream.read() as Buffer | null;
    if (rest !== null) read(rest);
  });
  return (bytes) => {
    lent = true;
    read(bytes);
    lent = false;
  };
}
