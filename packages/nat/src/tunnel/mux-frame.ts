import { NatError } from '../errors.js';

/**
 * Frames of yamux (github.com/hashicorp/yamux, spec.md): a header of 12 bytes, then data. Each is one
 * binary message of a WebSocket here, so that none is ever cut in two.
 */
export const HEADER_SIZE = 12;

export const FrameType = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const;
export const FrameFlag = { syn: 1, ack: 2, fin: 4, rst: 8 } as const;

/** The most bytes of data in one frame. */
export const MAX_FRAME_DATA = 64 * 1024;
/** Bytes that each side may send on a new stream before it is told of more (spec.md). */
export const INITIAL_WINDOW = 256 * 1024;

/** One frame. `value` is a length, a window's growth, a ping's number or a reason. */
export interface MuxFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly value: number;
  readonly data: Buffer;
}

const EMPTY = Buffer.alloc(0);

/** A frame as bytes. Data is copied, so that what was given may be used again. */
export function encodeFrame(
  type: number,
  flags: number,
  stream: number,
  value: number,
  data: Buffer = EMPTY,
): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_SIZE + data.length);
  bytes[0] = 0;
  bytes[1] = type;
  bytes.writeUInt16BE(flags, 2);
  bytes.writeUInt32BE(stream, 4);
  bytes.writeUInt32BE(value, 8);
  data.copy(bytes, HEADER_SIZE);
  return bytes;
}

/** @throws NatError NAT_TUNNEL_PROTOCOL. */
export function parseFrame(bytes: Buffer): MuxFrame {
  const bad = (what: string) => new NatError('NAT_TUNNEL_PROTOCOL', `a frame with ${what}`);
  if (bytes.length < HEADER_SIZE) throw bad('no whole header');
  if (bytes[0] !== 0) throw bad('a version that is not ours');
  const type = bytes[1]!;
  if (type > FrameType.goAway) throw bad(`the unknown type ${type}`);
  const flags = bytes.readUInt16BE(2);
  if (flags > 15) throw bad('unknown flags');
  const value = bytes.readUInt32BE(8);
  const data = bytes.subarray(HEADER_SIZE);
  if (data.length !== (type === FrameType.data ? value : 0)) throw bad('a wrong length');
  if (data.length > MAX_FRAME_DATA) throw bad('too much data');
  const stream = bytes.readUInt32BE(4);
  const needsStream = type === FrameType.data || type === FrameType.windowUpdate;
  if (needsStream !== stream > 0) throw bad('a stream where none belongs, or without one');
  return { type, flags, stream, value, data };
}
