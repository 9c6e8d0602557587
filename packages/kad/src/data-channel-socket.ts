import { concatBytes, fromUtf8, utf8 } from './bytes.js';
import type { MessageSocket } from './message-socket.js';

// A data channel of WebRTC as a WebSocket. What data channels lack: messages larger than the SCTP stacks
// take, a reason for the end, and a way to slow the sender down, since all stacks hand over what has come.
// So messages are cut into fragments, and a side sends only so much as the other has had from it and used.

/** What is needed of a data channel, a browser's or one of Node's. */
export interface RawChannel {
  /** Send a message of at most {@link FRAGMENT} bytes. @throws when the channel is not open. */
  send(bytes: Uint8Array): void;
  /** Bytes that were sent and have not gone out. */
  readonly bufferedAmount: number;
  /** End it, and the connection below. */
  close(): void;
}

/** The most bytes in one message of the channel. */
export const FRAGMENT = 64 * 1024;
/** Bytes that may be under way to the other side, or wait there to be used. */
const WINDOW = 4 * 1024 * 1024;
/** Bytes used that the other side is told of at once. */
const CREDIT_STEP = 512 * 1024;
/** Bytes in the channel's own buffer above which nothing more is put there, and below which it goes on. */
export const HIGH_WATER = 1024 * 1024;
export const LOW_WATER = 256 * 1024;
/** Fragments of no bytes cost something, too. */
const FRAGMENT_COST = 64;

/** The first byte of a fragment. */
const Kind = { binaryPart: 0, binaryEnd: 1, textPart: 2, textEnd: 3, credit: 4, close: 5 } as const;

const OPEN = 1;
const CLOSED = 3;
/** As WebSockets have it (RFC 6455, section 7.4). */
const ABNORMAL = 1006;
const NORMAL = 1000;
const PROTOCOL_ERROR = 1002;
const TOO_LARGE = 1009;

interface Fragment {
  readonly bytes: Uint8Array;
  /** Told when it was handed to the channel; of the last of a message only. */
  readonly sent?: (() => void) | undefined;
}

/** Messages over a data channel. Made before the channel is open; who makes it tells of what happens to that. */
export class DataChannelSocket implements MessageSocket {
  binaryType = 'arraybuffer';
  readyState = 0;
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: { message?: string }) => void) | null = null;
  private readonly queue: Fragment[] = [];
  private queuedBytes = 0;
  private credit = WINDOW;
  /** Bytes that came, and that the other side does not know to be used. */
  private used = 0;
  /** Bytes that came and were not used; more than the window are against the rules. */
  private unused = 0;
  private parts: Uint8Array[] = [];
  private partBytes = 0;
  /** Whole messages that wait while paused. */
  private readonly waiting: { data: Uint8Array | string; cost: number }[] = [];
  private cost = 0;
  private paused = false;
  private delivering = false;

  /** @param maxMessage - the most bytes in a message that is taken: no more than half a window, 2 MiB */
  constructor(
    private readonly channel: RawChannel,
    private readonly maxMessage: number,
  ) {}

  get bufferedAmount(): number {
    return this.queuedBytes + (this.readyState === OPEN ? this.channel.bufferedAmount : 0);
  }

  /** @param sent - told when all of it was handed to the channel; not when that never comes to be */
  send(data: Uint8Array | string, sent?: () => void): void {
    if (this.readyState !== OPEN) throw new Error('the data channel is not open');
    const text = typeof data === 'string';
    const bytes = text ? utf8(data) : data;
    for (let at = 0; at === 0 || at < bytes.length; at += FRAGMENT - 1) {
      const last = at + FRAGMENT - 1 >= bytes.length;
      const kind = (text ? Kind.textPart : Kind.binaryPart) + (last ? 1 : 0);
      const part = bytes.subarray(at, at + FRAGMENT - 1);
      this.queuedBytes += part.length + 1;
      const fragment = concatBytes(Uint8Array.of(kind), part);
      this.queue.push({ bytes: fragment, ...(last && { sent }) });
    }
    this.flush();
  }

  close(code = NORMAL, reason = ''): void {
    if (this.readyState === CLOSED) return;
    try {
      const head = Uint8Array.of(Kind.close, code >> 8, code & 255);
      if (this.readyState === OPEN)
        this.channel.send(concatBytes(head, utf8(reason.slice(0, 120))));
    } catch {
      // It is closing already.
    }
    this.end(code, reason);
  }

  terminate(): void {
    this.end(ABNORMAL, '');
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.deliver();
  }

  /** The channel is open. */
  opened(): void {
    if (this.readyState !== 0) return;
    this.readyState = OPEN;
    this.onopen?.({} as never);
  }

  /** The channel has room again. */
  drained(): void {
    this.flush();
  }

  /** The channel, or the connection below it, has ended. */
  lost(why: string): void {
    if (this.readyState === CLOSED) return;
    this.onerror?.({ message: why });
    this.end(ABNORMAL, why);
  }

  /** A message came on the channel. */
  received(bytes: Uint8Array): void {
    if (this.readyState === CLOSED) return;
    const kind = bytes[0];
    const body = bytes.subarray(1);
    if (kind === Kind.credit && body.length === 4) {
      this.credit += new DataView(body.buffer, body.byteOffset).getUint32(0);
      if (this.credit > WINDOW) return this.close(PROTOCOL_ERROR, 'too much credit');
      return this.flush();
    }
    if (kind === Kind.close && body.length >= 2) {
      return this.end((body[0]! << 8) | body[1]!, fromUtf8(body.subarray(2)));
    }
    if (kind === undefined || kind > Kind.textEnd) {
      return this.close(PROTOCOL_ERROR, 'a fragment of an unknown kind');
    }
    this.partBytes += body.length;
    this.cost += costOf(bytes);
    this.unused += costOf(bytes);
    if (this.unused > WINDOW + FRAGMENT) return this.close(PROTOCOL_ERROR, 'more than has room');
    if (this.partBytes > this.maxMessage) return this.close(TOO_LARGE, 'a message too large');
    this.parts.push(body);
    if (kind === Kind.binaryPart || kind === Kind.textPart) return;
    const whole = this.parts.length === 1 ? body : concatBytes(...this.parts);
    this.waiting.push({ data: kind === Kind.textEnd ? fromUtf8(whole) : whole, cost: this.cost });
    this.parts = [];
    this.partBytes = 0;
    this.cost = 0;
    this.deliver();
  }

  private deliver(): void {
    // What is told of a message may pause, resume or close.
    if (this.delivering) return;
    this.delivering = true;
    try {
      while (!this.paused && this.readyState === OPEN) {
        const message = this.waiting.shift();
        if (message === undefined) break;
        this.use(message.cost);
        this.onmessage?.({ data: message.data });
      }
    } finally {
      this.delivering = false;
    }
  }

  private use(cost: number): void {
    this.unused -= cost;
    this.used += cost;
    if (this.used < CREDIT_STEP || this.readyState !== OPEN) return;
    const bytes = new Uint8Array(5);
    bytes[0] = Kind.credit;
    new DataView(bytes.buffer).setUint32(1, this.used);
    this.used = 0;
    this.trySend(bytes);
  }

  private flush(): void {
    while (this.readyState === OPEN && this.channel.bufferedAmount < HIGH_WATER) {
      const next = this.queue[0];
      if (next === undefined || costOf(next.bytes) > this.credit) return;
      this.queue.shift();
      this.credit -= costOf(next.bytes);
      this.queuedBytes -= next.bytes.length;
      if (!this.trySend(next.bytes)) return;
      next.sent?.();
    }
  }

  private trySend(bytes: Uint8Array): boolean {
    try {
      this.channel.send(bytes);
      return true;
    } catch (error) {
      this.lost(error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  private end(code: number, reason: string): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.queue.length = 0;
    this.queuedBytes = 0;
    this.waiting.length = 0;
    this.parts = [];
    this.channel.close();
    this.onclose?.({ code, reason });
  }
}

/** What a fragment takes of the window. */
function costOf(fragment: Uint8Array): number {
  return fragment.length + FRAGMENT_COST;
}
