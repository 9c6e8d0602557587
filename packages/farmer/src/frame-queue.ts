import type { Clock, ShortLivedBuffers } from '@granary/kad';
import { type TransferRequest, parseTransferRequest } from '@granary/protocol';
import { FarmerError } from './errors.js';
import type { RenterSocket } from './renter-socket.js';

/** A renter's frame: a control message, or bytes. */
export type InFrame = TransferRequest | Uint8Array;

const HIGH_WATER = 1024 * 1024;
const MAX_WAITING_FRAMES = 64;

/**
 * The frames of one WebSocket, read one at a time. The socket pauses while too much waits, so that
 * a fast sender can't fill the memory.
 */
export class FrameQueue {
  private readonly frames: InFrame[] = [];
  private waitingBytes = 0;
  private failure: Error | undefined;
  private wake: (() => void) | undefined;

  constructor(
    private readonly socket: RenterSocket,
    private readonly clock: Clock,
    private readonly buffers: ShortLivedBuffers,
  ) {
    socket.on('message', (data: Buffer, isBinary: boolean) => this.take(data, isBinary));
    socket.on('close', () => this.fail(new FarmerError('FARMER_PROTOCOL', 'closed')));
    socket.on('error', (error) =>
      this.fail(new FarmerError('FARMER_PROTOCOL', error.message, { cause: error })),
    );
  }

  /** Whether the other side is gone or has broken the protocol. */
  get closed(): boolean {
    return this.failure !== undefined;
  }

  /** End the queue: whoever waits gets this error. */
  fail(error: Error): void {
    this.failure ??= error;
    this.wake?.();
  }

  /** Whether the next frame is a request to cancel; it is taken out. */
  takeCancel(): boolean {
    const at = this.frames.findIndex(
      (frame) => !(frame instanceof Uint8Array) && frame.type === 'cancel',
    );
    if (at < 0) return false;
    this.frames.splice(at, 1);
    return true;
  }

  /** The frames of bytes that wait before any other, taken out; they may be none. */
  takeBytes(): Uint8Array[] {
    const end = this.frames.findIndex((frame) => !(frame instanceof Uint8Array));
    const taken = this.frames.splice(0, end < 0 ? this.frames.length : end) as Uint8Array[];
    for (const { length } of taken) this.waitingBytes -= length;
    this.resumeIfShort();
    return taken;
  }

  /**
   * The next frame.
   *
   * @throws FarmerError FARMER_TIMEOUT when none comes in time; FARMER_PROTOCOL when the socket ends.
   */
  async next(timeoutMs: number): Promise<InFrame> {
    let timer: unknown;
    try {
      for (;;) {
        const frame = this.frames.shift();
        if (frame !== undefined) {
          if (frame instanceof Uint8Array) this.waitingBytes -= frame.length;
          this.resumeIfShort();
          return frame;
        }
        if (this.failure !== undefined) throw this.failure;
        await new Promise<void>((resolve) => {
          this.wake = resolve;
          timer ??= this.clock.setTimeout(() => {
            this.fail(new FarmerError('FARMER_TIMEOUT', `nothing came for ${timeoutMs / 1000} s`));
          }, timeoutMs);
        });
        this.wake = undefined;
      }
    } finally {
      this.clock.clearTimeout(timer);
    }
  }

  private resumeIfShort(): void {
    if (this.socket.isPaused && this.waitingBytes <= HIGH_WATER / 2) this.socket.resume();
  }

  private take(data: Buffer, isBinary: boolean): void {
    if (this.failure !== undefined) return;
    if (isBinary) {
      this.frames.push(data);
      this.waitingBytes += data.length;
      this.buffers.note(data.length);
      if (this.waitingBytes > HIGH_WATER) this.socket.pause();
    } else {
      try {
        this.frames.push(parseTransferRequest(data.toString('utf8')));
      } catch (error) {
        this.fail(error as Error);
      }
    }
    // Bytes are bounded by the pause above; this bounds floods of small frames.
    if (this.frames.length > MAX_WAITING_FRAMES) {
      if (isBinary) this.socket.pause();
      else this.fail(new FarmerError('FARMER_PROTOCOL', 'too many frames before an answer'));
    }
    this.wake?.();
  }
}
