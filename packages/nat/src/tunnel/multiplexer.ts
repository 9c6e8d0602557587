import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { type Clock, TokenBucket } from '@granary/kad';
import { NatError } from '../errors.js';
import {
  FrameFlag,
  FrameType,
  INITIAL_WINDOW,
  type MuxFrame,
  encodeFrame,
  parseFrame,
} from './mux-frame.js';
import { MuxStream } from './mux-stream.js';

/** What a {@link Multiplexer} is made of. Times are milliseconds. */
export interface MultiplexerOptions {
  readonly clock: Clock;
  /** Streams that the other side may have open; it is cut off when it does not care. */
  readonly maxStreams: number;
  /** Ask the other side this often whether it is there. */
  readonly pingMs: number;
  /** It has to answer within this. */
  readonly pongMs: number;
  /** The other side opens a stream. Without it, it may open none. */
  onStream?(stream: Duplex): void;
  /** A text message: what the two sides say to each other. What it throws ends everything. */
  onText(text: string): void;
  /** Called once when the connection is no more. */
  onClose(reason: NatError): void;
}

/** Bytes waiting on the WebSocket above which streams are held back. */
const HIGH_WATER = 1024 * 1024;
/** Bytes of frames that are not data waiting to go out, above which the other side is cut off. */
const MAX_WAITING = 8 * 1024 * 1024;
/** Frames a second that carry no data. A fast connection with many streams makes some hundreds. */
const CONTROL_RATE = { perSecond: 5_000, burst: 20_000 };
/** The most characters of a text message. */
const MAX_TEXT = 8 * 1024;
/** How long the other side may take to close its end of the WebSocket. */
const CLOSE_MS = 1_000;

/**
 * Many streams over one WebSocket, each with its own flow control, so that one that is slow does not
 * hold up the others. It is yamux, one frame a message; why it is our own: docs/decisions/0015.
 */
export class Multiplexer {
  private readonly streams = new Map<number, MuxStream>();
  private readonly control: TokenBucket;
  /** The highest stream that the other side has opened. */
  private lastRemote = 0;
  private nextLocal: number;
  private pingId = 0;
  private pingTimer: unknown;
  private failure: NatError | undefined;

  /** @param opener - whether this side opens streams with odd numbers */
  constructor(
    private readonly socket: WebSocket,
    private readonly opener: boolean,
    private readonly options: MultiplexerOptions,
  ) {
    const { clock } = options;
    this.nextLocal = opener ? 1 : 2;
    this.control = new TokenBucket(CONTROL_RATE, clock.now());
    socket.on('message', (data: Buffer, isBinary: boolean) => this.receive(data, isBinary));
    socket.on('error', (error) => this.fail(closed(error.message)));
    socket.once('close', () => this.fail(closed('the connection is gone')));
    this.pingTimer = clock.setTimeout(() => this.ping(), options.pingMs);
  }

  /** Streams open at this time. */
  get size(): number {
    return this.streams.size;
  }

  /** Open a stream. @throws NatError NAT_TUNNEL_CLOSED when the connection is no more. */
  open(): Duplex {
    if (this.failure !== undefined) throw this.failure;
    const id = this.nextLocal;
    if (id > 0xffff_fffd) throw closed('its numbers are used up');
    this.nextLocal += 2;
    const stream = this.makeStream(id);
    this.send(encodeFrame(FrameType.windowUpdate, FrameFlag.syn, id, 0));
    return stream;
  }

  /** Say something to the other side. */
  say(message: unknown): void {
    if (this.failure === undefined) this.socket.send(JSON.stringify(message));
  }

  /** End everything. */
  close(reason = closed('it was closed here')): void {
    this.fail(reason);
  }

  private makeStream(id: number): MuxStream {
    const stream = new MuxStream(
      id,
      {
        data: (stream, data, sent) => {
          if (this.failure !== undefined) return sent(this.failure);
          const frame = encodeFrame(FrameType.data, 0, stream, data.length, data);
          // With room left, the next chunk need not wait for this one.
          if (this.socket.bufferedAmount < HIGH_WATER) {
            this.socket.send(frame);
            sent();
          } else this.socket.send(frame, (error) => sent(error));
        },
        fin: (stream) => this.send(encodeFrame(FrameType.data, FrameFlag.fin, stream, 0)),
        rst: (stream) => this.send(encodeFrame(FrameType.data, FrameFlag.rst, stream, 0)),
        grow: (stream, bytes) => this.send(encodeFrame(FrameType.windowUpdate, 0, stream, bytes)),
        gone: (stream) => this.streams.delete(stream),
      },
      INITIAL_WINDOW,
    );
    stream.on('error', () => undefined);
    this.streams.set(id, stream);
    return stream;
  }

  /** Send a frame that does not wait for its turn. */
  private send(frame: Buffer): void {
    if (this.failure !== undefined) return;
    if (this.socket.bufferedAmount > MAX_WAITING) {
      return this.fail(closed('the other side takes nothing of what it is sent'));
    }
    this.socket.send(frame);
  }

  private receive(message: Buffer, isBinary: boolean): void {
    if (this.failure !== undefined) return;
    try {
      if (!isBinary) {
        this.spend();
        if (message.length > MAX_TEXT) throw protocol('a message that is too long');
        this.options.onText(message.toString('utf8'));
        return;
      }
      const frame = parseFrame(message);
      if (frame.type !== FrameType.data || frame.data.length === 0) this.spend();
      if (frame.type === FrameType.ping) this.onPing(frame);
      else if (frame.type === FrameType.goAway) this.fail(closed('the other side goes'));
      else this.onStreamFrame(frame);
    } catch (error) {
      const cause = { cause: error };
      this.fail(
        error instanceof NatError
          ? error
          : new NatError('NAT_TUNNEL_PROTOCOL', 'a message could not be taken', cause),
      );
    }
  }

  private spend(): void {
    if (!this.control.take(this.options.clock.now())) {
      throw protocol('too many frames that carry nothing');
    }
  }

  private onPing({ flags, value }: MuxFrame): void {
    if (flags === FrameFlag.syn) {
      this.send(encodeFrame(FrameType.ping, FrameFlag.ack, 0, value));
    } else if (flags === FrameFlag.ack && value === this.pingId) {
      const { clock, pingMs } = this.options;
      clock.clearTimeout(this.pingTimer);
      this.pingTimer = clock.setTimeout(() => this.ping(), pingMs);
    }
  }

  private onStreamFrame({ type, flags, stream: id, value, data }: MuxFrame): void {
    if ((flags & FrameFlag.syn) !== 0) this.onOpen(id);
    const stream = this.streams.get(id);
    // What comes late for a stream that we have ended is dropped.
    if (stream === undefined) return;
    if (type === FrameType.windowUpdate) stream.grow(value);
    else stream.receive(data);
    if ((flags & FrameFlag.rst) !== 0) stream.cutOff();
    else if ((flags & FrameFlag.fin) !== 0) stream.receiveFin();
  }

  private onOpen(id: number): void {
    const { onStream, maxStreams } = this.options;
    if (onStream === undefined) throw protocol('a stream that it may not open');
    if (id % 2 !== (this.opener ? 0 : 1) || id <= this.lastRemote) {
      throw protocol('a stream with a wrong number');
    }
    this.lastRemote = id;
    if (this.streams.size >= maxStreams) throw protocol('more streams than it was allowed');
    const stream = this.makeStream(id);
    onStream.call(this.options, stream);
  }

  private ping(): void {
    const { clock, pongMs } = this.options;
    this.pingId = (this.pingId + 1) >>> 0;
    this.send(encodeFrame(FrameType.ping, FrameFlag.syn, 0, this.pingId));
    this.pingTimer = clock.setTimeout(
      () => this.fail(closed('the other side does not answer any more')),
      pongMs,
    );
  }

  private fail(reason: NatError): void {
    if (this.failure !== undefined) return;
    const { clock, onClose } = this.options;
    if (this.socket.readyState === this.socket.OPEN) {
      this.socket.send(encodeFrame(FrameType.goAway, 0, 0, 0));
    }
    this.failure = reason;
    clock.clearTimeout(this.pingTimer);
    for (const stream of [...this.streams.values()]) stream.cutOff();
    this.socket.close(reason.code === 'NAT_TUNNEL_PROTOCOL' ? 1002 : 1000);
    const timer = clock.setTimeout(() => this.socket.terminate(), CLOSE_MS);
    this.socket.once('close', () => clock.clearTimeout(timer));
    onClose.call(this.options, reason);
  }
}

const closed = (why: string) => new NatError('NAT_TUNNEL_CLOSED', `the tunnel is closed: ${why}`);
const protocol = (what: string) =>
  new NatError('NAT_TUNNEL_PROTOCOL', `the other side sends ${what}`);
