import { leafHashes } from '#renter/crypto';
import { canDialTransfer, dialTransfer, sendMessage } from '#renter/transfer-dial';
import {
  type Clock,
  type Contact,
  type Dialer,
  type Identity,
  KadError,
  type LargeMessages,
  type TlsCredentials,
  copyBytes,
  parseAddress,
  type ShortLivedBuffers,
} from '@granary/kad';
import {
  type Contract,
  type ContractProposal,
  HASH_SIZE,
  MAX_CONTROL_FRAME,
  MAX_DATA_FRAME,
  type ReadGrant,
  type Receipt,
  type ReceiptBody,
  type TransferAnswer,
  type TransferDirection,
  type TransferRequest,
  type TransferToken,
  USUAL_DATA_FRAME,
  completeContract,
  contractHash,
  countersignReceipt,
  fromHex,
  equalBytes,
  frameSizeAt,
  leafCount,
  levelCount,
  nodeOfLeaves,
  nodeSpan,
  parseReceipt,
  parseTransferAnswer,
  siblingCount,
  signToken,
  toHex,
  verifyRangeProof,
} from '@granary/protocol';
import { FarmerRefusal, RenterError, messageOf } from './errors.js';
import type { SegmentEngine } from './segment-engine.js';
import { type TransferSocket, bytesOf, endSocket } from './transfer-socket.js';

/** Who dials, and how patient it is. */
export interface ConnectionContext {
  readonly identity: Identity;
  /** Shown in TLS; browsers have none. */
  readonly credentials?: TlsCredentials;
  /** How connections are opened; browsers have a way of their own. */
  readonly dialer?: Dialer;
  readonly clock: Clock;
  readonly random: (bytes: number) => Uint8Array;
  readonly connectTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly meter?: TransferMeter;
  readonly buffers: ShortLivedBuffers;
}

/** One shard on one farmer, as a download needs to know it. */
export interface ShardPlace {
  readonly contract: string;
  readonly hash: string;
  readonly size: number;
  /** The renter's leave, for whoever is not the renter. */
  readonly grant?: ReadGrant;
}

/** Told of what transfers have moved; it must not hold them up. */
export interface TransferMeter {
  /** A receipt was countersigned. @param contract - for an upload */
  receipt(farmer: string, receipt: Receipt, contract?: Contract): void;
  /** A download broke off; `body` says what came here. */
  broken(farmer: string, body: ReceiptBody): void;
}

type Frame = TransferAnswer | Uint8Array;

/** The download under way. */
interface Download {
  readonly token: TransferToken;
  /** Where the bytes of the shard go, and how many have come. */
  readonly into: Uint8Array;
  filled: number;
  /** What the farmer says next: that it has the shard, with what proof, and its bytes. */
  next: 'head' | 'proof' | 'bytes';
}

/** A WebSocket that is open says so. */
const OPEN = 1;
/** Bytes that may wait to be read before the socket pauses, where it can. */
const READ_HIGH_WATER = 1024 * 1024;
/** Frames that may come when none was asked for. */
const MAX_UNASKED = 16;
const TOKEN_LIFETIME = 30 * 60 * 1000;

/**
 * One WebSocket to one farmer, over a TLS connection whose certificate was checked against the
 * farmer's node ID. Runs one transfer at a time; after a failed one it is closed.
 */
export class FarmerConnection {
  private readonly frames: Frame[] = [];
  private wake: (() => void) | undefined;
  private failure: Error | undefined;
  /** Bytes of frames not yet read; the socket pauses above a limit. */
  private queued = 0;
  private busy = false;
  private paused = false;
  /** Bytes of a shard in one frame. */
  private frame = USUAL_DATA_FRAME;
  private running: Download | undefined;

  private constructor(
    readonly farmer: Contact,
    /** Whether it goes straight to a farmer whose addresses are those of tunnels. */
    readonly direct: boolean,
    private readonly socket: TransferSocket,
    private readonly context: ConnectionContext,
  ) {
    socket.onmessage = ({ data }) => this.receive(data);
    socket.leadLarge?.(this.largeMessages());
    socket.onerror = ({ message = 'the connection broke' }) =>
      this.fail(transferError(farmer, message));
    socket.onclose = () => this.fail(transferError(farmer, 'the connection was closed'));
  }

  /**
   * Dial a farmer at the first of its addresses that answers.
   *
   * @throws RenterError RENTER_TRANSFER; KadError when the farmer is not who it should be.
   */
  static async dial(
    farmer: Contact,
    context: ConnectionContext,
    signal?: AbortSignal,
  ): Promise<FarmerConnection> {
    let failure: unknown = transferError(farmer, 'it has no address that can be dialled from here');
    for (const address of farmer.addresses) {
      if (!canReach(address, context.dialer)) continue;
      signal?.throwIfAborted();
      try {
        return await FarmerConnection.dialAddress(farmer, address, context, context.dialer, signal);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  /**
   * Connect to a farmer in a way that needs none of its addresses.
   *
   * @throws RenterError RENTER_TRANSFER; KadError when it can't be had, or it is not the farmer.
   */
  static async dialDirectly(
    farmer: Contact,
    context: ConnectionContext,
    dialer: Dialer,
    signal?: AbortSignal,
  ): Promise<FarmerConnection> {
    return FarmerConnection.dialAddress(farmer, 'https://farmer.invalid', context, dialer, signal);
  }

  private static async dialAddress(
    farmer: Contact,
    address: string,
    context: ConnectionContext,
    dialer: Dialer | undefined,
    signal?: AbortSignal,
  ): Promise<FarmerConnection> {
    const { identity, credentials, clock, random, connectTimeoutMs } = context;
    try {
      const socket = await dialTransfer(farmer.nodeId, address, {
        identity,
        ...(credentials !== undefined && { credentials }),
        ...(dialer !== undefined && { dialer }),
        clock,
        random,
        timeoutMs: connectTimeoutMs + (dialer?.slackMs ?? 0),
        ...(signal !== undefined && { signal }),
      });
      return new FarmerConnection(farmer, dialer !== context.dialer, socket, context);
    } catch (error) {
      if (error instanceof KadError && error.code === 'KAD_UNREACHABLE') {
        throw transferError(farmer, error.message, error);
      }
      throw error;
    }
  }

  /** Whether another transfer may use this connection. */
  get usable(): boolean {
    return this.failure === undefined && !this.busy && this.socket.readyState === OPEN;
  }

  /** Close at once. */
  close(): void {
    this.fail(new RenterError('RENTER_CLOSED', 'the connection was closed here'));
    endSocket(this.socket);
  }

  /**
   * Store a shard under a contract, going on where the farmer's durable part ends. Resolves after
   * the farmer has signed that all of it is verified and on its disk.
   *
   * @param onBytes - told of bytes handed to the socket
   * @throws RenterError, FarmerRefusal, or ProtocolError when the farmer's answers don't check out.
   */
  upload(
    proposal: ContractProposal,
    { bytes: shard, audits }: { bytes: Uint8Array; audits: Uint8Array },
    onBytes: (count: number) => void,
    signal: AbortSignal,
  ): Promise<{ contract: Contract; receipt: Receipt }> {
    return this.exclusive(signal, async () => {
      const { terms } = proposal;
      const hash = contractHash(terms);
      const token = this.token('upload', hash, 0, shard.length);
      // What fits into one frame goes at once: the farmer's leave would take a round trip, and little is lost without it.
      const whole = shard.length > 0 && shard.length <= this.frame;
      const sent = this.context.clock.now();
      this.send({
        type: 'upload',
        proposal,
        token,
        audits: toHex(audits),
        ...(whole && { whole }),
      });
      if (whole) await this.sendBytes(shard, onBytes, signal);
      let answer = await this.answer(signal);
      if (answer.type === 'ready' && !whole) {
        const contract = completeContract(proposal, answer.farmerSignature);
        if (answer.offset > shard.length) throw this.unexpected('an offset beyond the shard');
        if (answer.offset > 0) onBytes(answer.offset);
        const begun = this.context.clock.now();
        const rest = shard.subarray(answer.offset);
        await this.sendBytes(rest, onBytes, signal);
        answer = await this.answer(signal);
        if (answer.type !== 'stored') throw this.unexpected(answer.type);
        this.noteSpeed(rest.length, begun);
        return { contract, receipt: this.receipt(answer.receipt, token, contract) };
      }
      if (answer.type !== 'stored') throw this.unexpected(answer.type);
      if (whole) this.noteSpeed(shard.length, sent);
      else onBytes(shard.length);
      const contract = completeContract(proposal, answer.farmerSignature);
      return { contract, receipt: this.receipt(answer.receipt, token, contract) };
    });
  }

  /**
   * Fetch a range of a shard, verified node by node against the shard hash as it comes.
   *
   * @param level - tree level; the range begins and ends on its nodes, or at the shard's end
   * @param onBytes - told of verified bytes
   * @param memory - where the bytes go
   * @throws RenterError RENTER_LYING_FARMER when a byte or the proof is not the shard's.
   */
  download(
    place: ShardPlace,
    range: { offset: number; length: number; level: number },
    onBytes: (count: number) => void,
    signal: AbortSignal,
    memory: Pick<SegmentEngine, 'shardBuffer' | 'recycleShard'>,
  ): Promise<Uint8Array> {
    const { offset, length, level } = range;
    const bytes = memory.shardBuffer(length);
    return this.exclusive(signal, async () => {
      const token = this.token('download', place.contract, offset, length);
      const begun = this.context.clock.now();
      const running: Download = { token, into: bytes, filled: 0, next: 'head' };
      this.running = running;
      const { grant } = place;
      const { frame } = this;
      this.send({ type: 'download', token, level, frame, ...(grant !== undefined && { grant }) });
      const head = await this.answer(signal);
      if (head.type !== 'data') throw this.unexpected(head.type);
      const span = nodeSpan(level);
      const first = Math.floor(offset / span);
      const count = Math.max(1, Math.ceil((offset + length) / span) - first);
      const siblings = siblingCount(place.size, level, first, first + count - 1);
      if (first + count > levelCount(leafCount(place.size), level)) {
        throw this.unexpected('a range outside the shard');
      }
      if (head.nodes !== count || head.siblings !== siblings) throw this.lie('its proof');
      const proof = await this.binary((count + siblings) * HASH_SIZE, signal);
      const nodes = proof.subarray(0, count * HASH_SIZE);
      const checked = verifyRangeProof(fromHex(place.hash), place.size, level, first, {
        nodes,
        siblings: proof.subarray(count * HASH_SIZE),
      });
      if (proof.length !== (count + siblings) * HASH_SIZE || !checked) throw this.lie('its proof');

      let filled = 0;
      let verified = 0;
      while (verified < length) {
        filled = await this.moreBytes(running, filled, signal);
        while (verified < length) {
          const end = Math.min(verified + span, length);
          if (end > filled) break;
          const node = (verified / span) * HASH_SIZE;
          const leaves = await leafHashes(bytes.subarray(verified, end));
          if (!equalBytes(nodeOfLeaves(leaves), nodes.subarray(node, node + HASH_SIZE))) {
            throw this.lie('its bytes');
          }
          onBytes(end - verified);
          verified = end;
        }
      }
      const tail = await this.answer(signal);
      if (tail.type !== 'sent') throw this.unexpected(tail.type);
      const { body } = this.receipt(tail.receipt, token);
      if (body.bytes !== length) throw this.unexpected('a receipt for other bytes');
      this.noteSpeed(length, begun);
      return bytes;
    }).catch((error: unknown) => {
      // Nobody else has seen it, and nothing more will be written to it.
      memory.recycleShard(bytes);
      throw error;
    });
  }

  /** Have a shard deleted; the farmer's signed receipt. */
  delete(contract: string, signal: AbortSignal): Promise<Receipt> {
    return this.exclusive(signal, async () => {
      const token = this.token('delete', contract, 0, 0);
      this.send({ type: 'delete', token });
      const answer = await this.answer(signal);
      if (answer.type !== 'deleted') throw this.unexpected(answer.type);
      return this.receipt(answer.receipt, token);
    });
  }

  private async exclusive<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (!this.usable) throw transferError(this.farmer, 'the connection is not free');
    this.busy = true;
    try {
      const result = await work();
      this.running = undefined;
      this.busy = false;
      return result;
    } catch (error) {
      if (signal.aborted && this.failure === undefined) {
        await this.cancel();
      } else {
        // After an error nobody knows what the other side will say next.
        this.close();
      }
      this.noteBroken();
      throw error;
    }
  }

  /** Stop the running transfer and make the connection free again, or close it. */
  private async cancel(): Promise<void> {
    try {
      this.send({ type: 'cancel' });
      for (;;) {
        const frame = await this.next(AbortSignal.timeout(2_000));
        if (frame instanceof Uint8Array) continue;
        if (frame.type === 'sent' || frame.type === 'cancelled') this.signForPart(frame.receipt);
        if (frame.type === 'cancelled') break;
        if (frame.type === 'error') throw new Error(frame.message);
      }
      this.busy = false;
    } catch {
      this.close();
    }
  }

  private token(
    direction: TransferDirection,
    contract: string,
    offset: number,
    length: number,
  ): TransferToken {
    const { identity, clock, random } = this.context;
    return signToken(identity, {
      contract,
      renter: identity.nodeId,
      renterKey: toHex(identity.publicKey),
      farmer: this.farmer.nodeId,
      direction,
      offset,
      length,
      expires: clock.now() + TOKEN_LIFETIME,
      nonce: toHex(random(16)),
    });
  }

  private receipt(value: unknown, token: TransferToken, agreed?: Contract): Receipt {
    const { contract, direction, nonce } = token.body;
    const receipt = parseReceipt(value, this.farmer, { contract, direction, token: nonce });
    if (direction === 'download' && receipt.body.bytes > (this.running?.filled ?? 0)) {
      throw this.lie('its count of bytes');
    }
    const signature = countersignReceipt(this.context.identity, receipt);
    this.send({ type: 'countersign', contract, signature });
    this.running = undefined;
    this.context.meter?.receipt(this.farmer.nodeId, receipt, agreed);
    return receipt;
  }

  /** Pay for what came of a download that we have cancelled, or that ended as we did. */
  private signForPart(receipt: unknown): void {
    if (receipt !== undefined && this.running !== undefined) {
      this.receipt(receipt, this.running.token);
    }
  }

  /** Keep count of a download for which there is no receipt. */
  private noteBroken(): void {
    const { running } = this;
    this.running = undefined;
    if (running === undefined || running.filled === 0) return;
    const bytes = running.filled;
    const { contract, nonce } = running.token.body;
    const time = this.context.clock.now();
    const body = { contract, direction: 'download', bytes, token: nonce, time } as const;
    this.context.meter?.broken(this.farmer.nodeId, body);
  }

  private send(request: TransferRequest): void {
    const text = JSON.stringify(request);
    if (text.length > MAX_CONTROL_FRAME) throw transferError(this.farmer, 'a request too long');
    void sendMessage(this.socket, text);
  }

  private async sendBytes(
    bytes: Uint8Array,
    onBytes: (count: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    for (let at = 0; at < bytes.length; at += this.frame) {
      signal.throwIfAborted();
      this.checkAlive();
      const frame = bytes.subarray(at, at + this.frame);
      const room = sendMessage(this.socket, frame);
      if (room !== undefined) await this.within(room, signal);
      onBytes(frame.length);
    }
  }

  /** A transfer has ended well: the frames of the next one are by its speed, if there was enough of it to tell. */
  private noteSpeed(bytes: number, begun: number): void {
    if (bytes < USUAL_DATA_FRAME) return;
    const seconds = Math.max(0, this.context.clock.now() - begun) / 1000;
    this.frame = frameSizeAt(bytes / seconds);
  }

  private checkAlive(): void {
    if (this.failure !== undefined) throw this.failure;
    const early = this.frames.find(
      (frame): frame is TransferAnswer => !(frame instanceof Uint8Array),
    );
    if (early === undefined) return;
    if (early.type === 'error') throw new FarmerRefusal(early.code, early.message);
    throw this.unexpected(early.type);
  }

  /** Bytes of the shard that are expected go to their place as they come. */
  private largeMessages(): LargeMessages {
    let download: Download | undefined;
    return {
      begin: (length) => {
        download = this.running;
        return download !== undefined && fits(download, length);
      },
      take: (bytes, lent) => {
        if (!lent) this.context.buffers.note(bytes.length);
        // Once a download has ended its memory is somebody else's.
        if (download === this.running) fill(download!, bytes);
      },
      end: () => {
        this.wake?.();
      },
    };
  }

  private receive(data: unknown): void {
    const bytes = bytesOf(data);
    const { running, socket } = this;
    if (bytes !== undefined) this.context.buffers.note(bytes.length);
    if (bytes !== undefined && running !== undefined && fits(running, bytes.length)) {
      fill(running, bytes);
      this.wake?.();
      return;
    }
    try {
      const frame = bytes ?? parseTransferAnswer(String(data));
      this.frames.push(frame);
      if (running !== undefined) running.next = after(running.next, frame);
    } catch (error) {
      this.fail(transferError(this.farmer, messageOf(error), error));
      endSocket(socket);
      return;
    }
    this.queued += bytes?.length ?? String(data).length;
    // A farmer that talks when nobody asked must not fill the memory.
    if (this.queued > READ_HIGH_WATER) {
      if (socket.pause !== undefined) {
        socket.pause();
        this.paused = true;
      } else if (this.queued > READ_HIGH_WATER + (running?.token.body.length ?? 0)) {
        this.fail(this.lie('more than was asked for'));
        this.close();
      }
    }
    if (!this.busy && this.frames.length > MAX_UNASKED) this.close();
    this.wake?.();
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.wake?.();
  }

  private async next(signal: AbortSignal): Promise<Frame> {
    for (;;) {
      signal.throwIfAborted();
      const frame = this.frames.shift();
      if (frame !== undefined) {
        this.queued -= frame instanceof Uint8Array ? frame.length : 0;
        if (this.frames.length === 0) this.queued = 0;
        if (this.paused && this.queued <= READ_HIGH_WATER) {
          this.paused = false;
          this.socket.resume?.();
        }
        return frame;
      }
      await this.news(signal);
    }
  }

  /** Wait until something comes. */
  private async news(signal: AbortSignal): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    await this.within(new Promise<void>((resolve) => (this.wake = resolve)), signal);
    this.wake = undefined;
  }

  /** Wait for one step of the other side, no longer than the stall time-out. */
  private async within(step: Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock, stallTimeoutMs } = this.context;
    let timer: unknown;
    let onAbort: (() => void) | undefined;
    try {
      await Promise.race([
        step,
        new Promise<never>((_, reject) => {
          timer = clock.setTimeout(
            () => reject(new RenterError('RENTER_STALLED', `farmer ${this.farmer.nodeId} stalled`)),
            stallTimeoutMs,
          );
          onAbort = () => reject(signal.reason as Error);
          signal.addEventListener('abort', onAbort, { once: true });
        }),
      ]);
    } finally {
      clock.clearTimeout(timer);
      if (onAbort) signal.removeEventListener('abort', onAbort);
    }
  }

  private async answer(signal: AbortSignal): Promise<TransferAnswer> {
    const frame = await this.next(signal);
    if (frame instanceof Uint8Array) throw this.unexpected('bytes');
    if (frame.type === 'error') throw new FarmerRefusal(frame.code, frame.message);
    return frame;
  }

  private async binary(limit: number, signal: AbortSignal): Promise<Uint8Array> {
    const frame = await this.next(signal);
    if (frame instanceof Uint8Array) {
      if (frame.length > limit) throw this.lie('the size of its frames');
      return frame;
    }
    if (frame.type === 'error') throw new FarmerRefusal(frame.code, frame.message);
    throw this.unexpected(frame.type);
  }

  /** Wait for more bytes of the shard than there were. @returns how many there are */
  private async moreBytes(download: Download, than: number, signal: AbortSignal): Promise<number> {
    for (;;) {
      signal.throwIfAborted();
      if (download.filled > than) return download.filled;
      // Bytes that fit are not among the frames.
      if (this.frames.length > 0) {
        await this.binary(0, signal);
        throw this.lie('its length');
      }
      await this.news(signal);
    }
  }

  private unexpected(what: string): RenterError {
    return transferError(this.farmer, `it said what does not fit here: ${what}`);
  }

  private lie(what: string): RenterError {
    return new RenterError(
      'RENTER_LYING_FARMER',
      `farmer ${this.farmer.nodeId} sent a shard that is not the one it signed for (${what})`,
    );
  }
}

/** Whether a farmer's transfers can be had at an address from here. */
export function canReach(address: string, dialer?: Dialer): boolean {
  if (!canDialTransfer(address)) return false;
  return dialer === undefined || dialer.dials(parseAddress(address).host);
}

/** Whether a frame of so many bytes is one of a shard that is expected. */
function fits({ next, into, filled }: Download, length: number): boolean {
  const left = into.length - filled;
  return next === 'bytes' && length > 0 && length <= Math.min(left, MAX_DATA_FRAME);
}

function fill(download: Download, bytes: Uint8Array): void {
  copyBytes(download.into, bytes, download.filled);
  download.filled += bytes.length;
}

function after(next: Download['next'], frame: Frame): Download['next'] {
  if (next === 'head' && !(frame instanceof Uint8Array) && frame.type === 'data') return 'proof';
  return next === 'proof' && frame instanceof Uint8Array ? 'bytes' : next;
}

function transferError(farmer: Contact, message: string, cause?: unknown): RenterError {
  return new RenterError('RENTER_TRANSFER', `farmer ${farmer.nodeId}: ${message}`, { cause });
}
