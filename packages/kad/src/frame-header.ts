/** Binary messages from so many bytes on are large: their length takes 8 bytes. */
export const LEAST_LARGE = 65_536;

const FIN = 0x80;
const RESERVED = 0x70;
const OPCODE = 0x0f;
const BINARY = 2;
/** From this opcode on frames are control frames, which may come between the frames of a message. */
const CLOSE = 8;
const MASKED = 0x80;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MASK_SIZE = 4;

/** What the header of a WebSocket's frame says (RFC 6455, section 5.2). */
export interface FrameHeader {
  /** Whether it is the last frame of its message, or the only one. */
  readonly fin: boolean;
  readonly control: boolean;
  /** Whether it begins a binary message, with nothing that an extension did to it. */
  readonly binary: boolean;
  /** Bytes of the header itself, mask and all. */
  readonly size: number;
  /** Bytes of its payload. */
  readonly length: number;
  /** No byte of the payload is changed by a mask. */
  readonly plain: boolean;
}

/** The header of a frame; undefined when not all of it is there. */
export function headerAt(bytes: Buffer, at: number): FrameHeader | undefined {
  if (at + 2 > bytes.length) return undefined;
  const first = bytes[at]!;
  const second = bytes[at + 1]!;
  const short = second & ~MASKED;
  const masked = (second & MASKED) !== 0;
  const before = short === LENGTH_16 ? 4 : short === LENGTH_64 ? 10 : 2;
  const size = before + (masked ? MASK_SIZE : 0);
  if (at + size > bytes.length) return undefined;
  let length = short;
  if (short === LENGTH_16) length = bytes.readUInt16BE(at + 2);
  if (short === LENGTH_64) length = Number(bytes.readBigUInt64BE(at + 2));
  return {
    fin: (first & FIN) !== 0,
    control: (first & OPCODE) >= CLOSE,
    binary: (first & (RESERVED | OPCODE)) === BINARY,
    size,
    length,
    plain: !masked || bytes.readUInt32BE(at + before) === 0,
  };
}

/** The header of a large binary message in one frame. @param masked - by a mask that changes nothing */
export function largeHeader(length: number, masked: boolean): Buffer {
  const header = Buffer.alloc(masked ? 10 + MASK_SIZE : 10);
  header.writeUInt8(FIN | BINARY, 0);
  header.writeUInt8(masked ? MASKED | LENGTH_64 : LENGTH_64, 1);
  header.writeBigUInt64BE(BigInt(length), 2);
  return header;
}
