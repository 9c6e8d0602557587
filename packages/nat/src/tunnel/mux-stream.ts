import { Duplex } from 'node:stream';
import { NatError } from '../errors.js';
import { INITIAL_WINDOW, MAX_FRAME_DATA } from './mux-frame.js';

/** What a {@link MuxStream} asks of its multiplexer. */
export interface MuxCarrier {
  /** Send data; `sent` is called when more may come. */
  data(stream: number, data: Buffer, sent: (error?: Error | null) => void): void;
  fin(stream: number): void;
  rst(stream: number): void;
  grow(stream: number, bytes: number): void;
  gone(stream: number): void;
}

/**
 * Bytes that may wait here for a slow reader. It bounds memory, and throughput to one window a round
 * trip.
 */
export const STREAM_WINDOW = 512 * 1024;
/** More than anybody needs to be allowed to send. */
const MAX_SEND_WINDOW = 64 * 1024 * 1024;

/** One stream of a {@link Multiplexer}. */
export class MuxStream extends Duplex {
  private sendWindow = INITIAL_WINDOW;
  private receiveWindow: number;
  private waiting: (() => void) | undefined;
  private finReceived = false;
  private finSent = false;

  /** @param granted - what the other side may send without being told of more */
  constructor(
    readonly id: number,
    private readonly carrier: MuxCarrier,
    granted: number,
  ) {
    super({ allowHalfOpen: true, readableHighWaterMark: MAX_FRAME_DATA });
    this.receiveWindow = granted;
  }

  /** Data came. @throws NatError NAT_TUNNEL_PROTOCOL when it is more than was allowed. */
  receive(data: Buffer): void {
    if (data.length > this.receiveWindow || this.finReceived) {
      throw new NatError('NAT_TUNNEL_PROTOCOL', 'the other side sends more than it was allowed');
    }
    this.receiveWindow -= data.length;
    if (this.destroyed || data.length === 0) return;
    this.push(data);
    this.grant();
  }

  /** The other side sends no more. */
  receiveFin(): void {
    if (this.finReceived) return;
    this.finReceived = true;
    this.push(null);
  }

  /** We may send more. @throws NatError NAT_TUNNEL_PROTOCOL when it makes no sense. */
  grow(bytes: number): void {
    this.sendWindow += bytes;
    if (this.sendWindow > MAX_SEND_WINDOW) {
      throw new NatError('NAT_TUNNEL_PROTOCOL', 'a window grew beyond all bounds');
    }
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.();
  }

  /** The other side has broken it off, or the carrier is gone. */
  cutOff(): void {
    this.finReceived = true;
    this.finSent = true;
    this.destroy();
  }

  override _read(): void {
    // What is read now is still counted as waiting.
    process.nextTick(() => this.grant());
  }

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding,
    callback: (error?: Error | null) => void,
  ): void {
    if (this.destroyed) return callback();
    if (this.sendWindow === 0) {
      this.waiting = () => this._write(chunk, _encoding, callback);
      return;
    }
    const size = Math.min(chunk.length, this.sendWindow, MAX_FRAME_DATA);
    this.sendWindow -= size;
    const rest = chunk.subarray(size);
    this.carrier.data(this.id, chunk.subarray(0, size), (error) => {
      if (error || rest.length === 0) callback(error);
      else this._write(rest, _encoding, callback);
    });
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.finSent = true;
    this.carrier.fin(this.id);
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.waiting = undefined;
    if (!this.finSent || !this.finReceived) this.carrier.rst(this.id);
    this.carrier.gone(this.id);
    callback(error);
  }

  /** Tell the other side of room that reading has made, when it is worth a frame. */
  private grant(): void {
    if (this.finReceived || this.destroyed) return;
    const room = STREAM_WINDOW - this.readableLength - this.receiveWindow;
    if (room < STREAM_WINDOW / 4) return;
    this.receiveWindow += room;
    this.carrier.grow(this.id, room);
  }
}
