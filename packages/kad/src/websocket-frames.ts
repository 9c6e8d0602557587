import { concatBytes } from './bytes.js';
import { MAX_MESSAGE_SIZE } from './envelope.js';
import { KadError } from './errors.js';

/** What a frame is. The first three open a connection: see websocket-handshake.ts. */
export const FrameType = {
  challenge: 0,
  answer: 1,
  welcome: 2,
  request: 3,
  response: 4,
  error: 5,
  ping: 6,
  pong: 7,
} as const;

/** One of {@link FrameType}'s values. */
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/**
 * One binary message of a WebSocket: its type (one byte), the number of the exchange that it belongs
 * to (four bytes, big-endian; zero where there is none), and what it carries.
 */
export interface Frame {
  readonly type: FrameType;
  /** Chosen by who asks, unique among its exchanges under way on the connection. */
  readonly id: number;
  readonly body: Uint8Array;
}

const HEAD = 5;

/** The most bytes in a frame. */
export const MAX_FRAME_SIZE = HEAD + MAX_MESSAGE_SIZE;

/** The bytes of a frame. */
export function encodeFrame(type: FrameType, id: number, body: Uint8Array): Uint8Array {
  const head = new Uint8Array(HEAD);
  head[0] = type;
  new DataView(head.buffer).setUint32(1, id);
  return concatBytes(head, body);
}

/**
 * Parse what came in one message of a WebSocket.
 *
 * @throws KadError KAD_MALFORMED for text, what is cut off, and unknown types; KAD_TOO_LARGE.
 */
export function parseFrame(data: unknown): Frame {
  const bytes =
    data instanceof Uint8Array ? data : data instanceof ArrayBuffer ? new Uint8Array(data) : null;
  if (bytes === null) throw new KadError('KAD_MALFORMED', 'frames are binary, not text');
  if (bytes.length > MAX_FRAME_SIZE) {
    throw new KadError('KAD_TOO_LARGE', `a frame has at most ${MAX_FRAME_SIZE} bytes`);
  }
  if (bytes.length < HEAD) throw new KadError('KAD_MALFORMED', 'a frame was cut off');
  const type = bytes[0]!;
  if (type > FrameType.pong) throw new KadError('KAD_MALFORMED', `there is no frame type ${type}`);
  const id = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  return { type: type as FrameType, id, body: bytes.subarray(HEAD) };
}
