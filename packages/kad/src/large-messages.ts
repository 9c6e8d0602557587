import type { Duplex } from 'node:stream';

/** Takes the payload of large binary messages while it comes, which else would be gathered and then copied. */
export interface LargeMessages {
  /**
   * A binary message of this many bytes begins, which are at least {@link LEAST_LARGE}.
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

/** Messages from so many bytes on are large: their length takes 8 bytes (RFC 6455, section 5.2). */
export const LEAST_LARGE = 65_536;

const FIN = 0x80;
const MASK = 0x80;
const OPCODE = 0x0f;
const BINARY = 2;
/** From this opcode on frames are control frames, which may come between the frames of a message. */
const CLOSE = 8;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MASK_SIZE = 4;

interface FrameHeader {
  readonly first: number;
  /** Bytes of the header itself, mask and all. */
  readonly size: number;
  /** Bytes of its payload. */
  readonly length: number;
  /** No byte of the payload is changed by a mask. */
  readonly plain: boolean;
}

/** The header of a frame (RFC 6455, section 5.2); undefined when not all of it is there. */
function headerAt(bytes: Buffer, at: number): FrameHeader | undefined {
  if (at + 2 > bytes.length) return undefined;
  const second = bytes[at + 1]!;
  const short = second & ~MASK;
  const masked = (second & MASK) !== 0;
  const before = short === LENGTH_16 ? 4 : short === LENGTH_64 ? 10 : 2;
  const size = before + (masked ? MASK_SIZE : 0);
  if (at + size > bytes.length) return undefined;
  let length = short;
  if (short === LENGTH_16) length = bytes.readUInt16BE(at + 2);
  if (short === LENGTH_64) length = Number(bytes.readBigUInt64BE(at + 2));
  const plain = !masked || bytes.readUInt32BE(at + before) === 0;
  return { first: bytes[at]!, size, length, plain };
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
      const { first, size, length, plain } = header;
      const whole = first === (FIN | BINARY) && !fragmented;
      if (whole && plain && length >= LEAST_LARGE && Number.isSafeInteger(length)) {
        // What came before it may change whether it is wanted.
        pass(bytes.subarray(from, at));
        from = at;
        taking = !broken && to.begin(length);
        if (taking) from = at + size;
      }
      if ((first & OPCODE) < CLOSE) fragmented = (first & FIN) === 0;
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
