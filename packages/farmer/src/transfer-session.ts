import {
  type Clock,
  type Identity,
  type Logger,
  type ShortLivedBuffers,
  messageOf,
} from '@granary/kad';
import { type Payee, PaymentError } from '@granary/payments';
import {
  type Contract,
  type ContractProposal,
  type ContractTerms,
  MAX_DATA_FRAME,
  type ReadGrant,
  type Receipt,
  type TransferAnswer,
  type TransferRequest,
  type TransferToken,
  ProtocolError,
  USUAL_DATA_FRAME,
  acceptContract,
  auditRootOf,
  checkCountersignature,
  contractHash,
  equalBytes,
  fromHex,
  nodeSpan,
  parseProposal,
  parseReadGrant,
  signReceipt,
  toHex,
} from '@granary/protocol';
import type { Admission } from './admission.js';
import { FarmerError } from './errors.js';
import { type FarmerPolicy, checkPolicy } from './farmer-policy.js';
import type { FrameBuffers } from './frame-buffers.js';
import { FrameQueue } from './frame-queue.js';
import type { GrantBook } from './grant-book.js';
import type { RenterSocket } from './renter-socket.js';
import type { ShardStore } from './shard-store.js';
import type { TokenGuard } from './token-guard.js';

/** Counts of what a farmer has done since it started. */
export interface TransferCounters {
  uploads: number;
  downloads: number;
  deletes: number;
  bytesIn: number;
  bytesOut: number;
  refused: number;
}

/** Times in milliseconds. */
export interface TransferTimeouts {
  /** Until the first request. */
  readonly helloMs: number;
  /** Between requests. */
  readonly idleMs: number;
  /** Without a byte in a transfer. */
  readonly stallMs: number;
}

/** What sessions share. */
export interface TransferContext {
  readonly identity: Identity;
  readonly store: ShardStore;
  readonly tokens: TokenGuard;
  readonly policy: FarmerPolicy;
  readonly admission: Admission;
  readonly payee: Payee;
  readonly grants: GrantBook;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: TransferCounters;
  readonly timeouts: TransferTimeouts;
  readonly buffers: ShortLivedBuffers;
  readonly frameBuffers: FrameBuffers;
  /** Uploads in work, by contract: a second connection takes an upload over from the first. */
  readonly uploads: Map<string, { stop(): Promise<void> }>;
}

type UploadRequest = Extract<TransferRequest, { type: 'upload' }>;
type DownloadRequest = Extract<TransferRequest, { type: 'download' }>;

/** An upload that was let in. */
interface Admitted {
  readonly hash: string;
  readonly contract: Contract;
  readonly token: TransferToken;
  /** Leaves of the contract's precomputed audits. */
  readonly audits: Uint8Array;
}

/** A receipt that the renter has not countersigned yet. */
interface GivenReceipt {
  readonly receipt: Receipt;
  /** The contract's terms, if it was known. */
  readonly terms: ContractTerms | undefined;
  readonly token: TransferToken;
  /** By whose leave it was, when it was not the renter itself. */
  readonly shared?: { readonly renter: string; readonly grant: ReadGrant };
  /** Called when it is written down. */
  readonly settled: () => void;
}

class Cancelled extends Error {
  /** @param receipt - for what a download had sent */
  constructor(readonly receipt?: Receipt) {
    super('cancelled');
  }
}

/** One renter's connection: its transfers, one after the other. */
export class TransferSession {
  private readonly frames: FrameQueue;
  /** Whether the renter has been told of the error that ends the session. */
  private told = false;
  private answered: Promise<void> = Promise.resolve();
  private lastReceipt: GivenReceipt | undefined;
  /** A shard that follows its request whatever is said to it has not come yet. */
  private shardDue = false;
  private noted: Promise<void> = Promise.resolve();

  /** @param peer - node ID that the TLS connection proved, if any */
  constructor(
    private readonly socket: RenterSocket,
    private readonly peer: string | undefined,
    private readonly context: TransferContext,
  ) {
    this.frames = new FrameQueue(socket, context.clock, context.buffers);
  }

  /** Serve until the renter leaves or breaks the protocol. Never throws. */
  async run(): Promise<void> {
    const { timeouts } = this.context;
    try {
      for (let first = true; ; first = false) {
        const frame = await this.frames.next(first ? timeouts.helloMs : timeouts.idleMs);
        if (frame instanceof Uint8Array) {
          if (!this.shardDue) {
            throw new FarmerError('FARMER_PROTOCOL', 'bytes came that belong to no transfer');
          }
          // It was on its way when it was refused, or was here before.
          this.shardDue = false;
          continue;
        }
        await this.perform(frame);
        // Who does not read its answers gets no more of them.
        await this.answered;
      }
    } catch (error) {
      this.end(error);
      await this.noted;
    }
  }

  /** Close from our side. */
  stop(): void {
    this.frames.fail(new FarmerError('FARMER_STOPPING', 'the farmer is stopping'));
  }

  private async perform(request: TransferRequest): Promise<void> {
    this.told = false;
    try {
      switch (request.type) {
        case 'upload':
          return await this.upload(request);
        case 'download':
          return await this.download(request);
        case 'delete':
          return await this.delete(request);
        case 'cancel':
          // It crossed the end of what it wanted to cancel.
          return this.answer({ type: 'cancelled' });
        case 'countersign':
          return await this.countersign(request);
      }
    } catch (error) {
      if (error instanceof Cancelled) {
        const { receipt } = error;
        return this.answer({ type: 'cancelled', ...(receipt !== undefined && { receipt }) });
      }
      if (this.frames.closed) throw error;
      this.refuse(error);
      // Once bytes were on their way, both sides would disagree on what comes next.
      if (!isRefusal(error)) throw error;
    }
  }

  private async upload(request: UploadRequest): Promise<void> {
    const { identity, tokens, uploads } = this.context;
    this.shardDue = request.whole === true;
    const token = tokens.take(request.token, 'upload', this.peer);
    const proposal = parseProposal(request.proposal);
    const { terms } = proposal;
    const hash = contractHash(terms);
    if (token.body.contract !== hash || token.body.renter !== terms.renter) {
      throw new FarmerError('FARMER_FORBIDDEN', 'the token is not for this contract');
    }
    if (terms.farmer !== identity.nodeId || terms.farmerKey !== toHex(identity.publicKey)) {
      throw new FarmerError('FARMER_FORBIDDEN', 'the contract is with another farmer');
    }
    for (let other = uploads.get(hash); other !== undefined; other = uploads.get(hash)) {
      await other.stop();
    }
    // From here to the end no other connection can work on this upload: there was no wait in between.
    let ended!: () => void;
    const over = new Promise<void>((resolve) => (ended = resolve));
    uploads.set(hash, {
      stop: () => {
        this.frames.fail(
          new FarmerError('FARMER_BUSY', 'another connection took this upload over'),
        );
        return over;
      },
    });
    try {
      await this.uploadAlone(hash, proposal, token, request);
    } finally {
      uploads.delete(hash);
      ended();
    }
  }

  private async uploadAlone(
    hash: string,
    proposal: ContractProposal,
    token: TransferToken,
    request: UploadRequest,
  ): Promise<void> {
    const { identity, store, policy, admission, payee, clock } = this.context;
    const { terms } = proposal;
    const audits = auditLeavesOf(request, terms);
    const known = store.entry(hash);
    if (known?.state === 'stored' && (await store.holds(hash))) {
      const { farmerSignature } = store.contract(hash)!;
      const receipt = this.receipt(token, terms, 0);
      return this.answer({ type: 'stored', farmerSignature, receipt });
    }
    admission.check(terms.renter);
    checkPolicy(policy, terms, clock.now());
    whenPaid(() => payee.checkUpload(terms));
    if (known?.state === 'stored') {
      throw new FarmerError('FARMER_NOT_FOUND', 'the shard was lost here: place it elsewhere');
    }
    const contract = acceptContract(identity, proposal);
    const admitted = { hash, contract, token, audits };
    if (request.whole === true) return this.takeWhole(admitted);
    await this.takeParts(admitted);
  }

  /** Take a shard that comes right behind its request, in one frame. */
  private async takeWhole(admitted: Admitted): Promise<void> {
    const { store, counters, timeouts } = this.context;
    const { hash, contract, audits } = admitted;
    const { terms } = contract;
    store.admit(hash, terms);
    const frame = await this.frames.next(timeouts.stallMs);
    this.shardDue = false;
    if (!(frame instanceof Uint8Array)) {
      if (frame.type === 'cancel') throw new Cancelled();
      throw new FarmerError('FARMER_PROTOCOL', `${frame.type} came in the place of a shard`);
    }
    if (frame.length !== terms.shardSize) {
      const message = `the shard has ${terms.shardSize} bytes, ${frame.length} came`;
      throw new FarmerError('FARMER_PROTOCOL', message);
    }
    await store.keepWhole(hash, contract, audits, frame);
    counters.bytesIn += frame.length;
    await this.acknowledge(admitted, frame.length);
  }

  /** Tell the renter that its shard is stored. */
  private async acknowledge({ hash, contract, token }: Admitted, bytes: number): Promise<void> {
    const { payee, counters, logger } = this.context;
    const { terms, farmerSignature } = contract;
    counters.uploads += 1;
    const receipt = this.receipt(token, terms, bytes);
    await payee.ready();
    payee
      .stored(hash, terms, receipt.body.time)
      .catch((error: unknown) =>
        logger.error({ error: messageOf(error) }, 'a shard was not written down'),
      );
    this.answer({ type: 'stored', farmerSignature, receipt });
  }

  /** Take a shard frame by frame, from where an earlier connection left off. */
  private async takeParts(admitted: Admitted): Promise<void> {
    const { store, counters, timeouts } = this.context;
    const { hash, contract, audits } = admitted;
    const { terms } = contract;
    await store.reserve(hash, contract, audits);
    const part = await store.openPartial(hash, terms);
    try {
      const { farmerSignature } = contract;
      this.answer({ type: 'ready', offset: part.offset, farmerSignature });
      const begin = part.offset;
      while (part.offset < terms.shardSize) {
        const frame = await this.frames.next(timeouts.stallMs);
        if (frame instanceof Uint8Array) {
          // What came while the disk was busy is written in one go.
          const bytes = [frame, ...this.frames.takeBytes()];
          if (bytes.some(({ length }) => length > MAX_DATA_FRAME || length === 0)) {
            throw new FarmerError('FARMER_PROTOCOL', `a frame has 1 to ${MAX_DATA_FRAME} bytes`);
          }
          const from = part.offset;
          await part.append(...bytes);
          counters.bytesIn += part.offset - from;
        } else if (frame.type === 'cancel') {
          throw new Cancelled();
        } else {
          throw new FarmerError('FARMER_PROTOCOL', `${frame.type} came in the middle of an upload`);
        }
      }
      await store.commit(hash, terms, part);
      await this.acknowledge(admitted, terms.shardSize - begin);
    } catch (error) {
      if (
        error instanceof FarmerError &&
        ['FARMER_WRONG_BYTES', 'FARMER_FULL'].includes(error.code)
      ) {
        await part.discard();
        await store.release(hash);
        throw new BrokenTransfer(error);
      }
      await part.suspend().catch(() => undefined);
      throw error instanceof Cancelled ? error : new BrokenTransfer(error);
    }
  }

  private async download(request: DownloadRequest): Promise<void> {
    const { store, tokens, counters, payee, grants, frameBuffers } = this.context;
    const token = tokens.take(request.token, 'download', this.peer);
    const { contract: hash, offset, length } = token.body;
    const terms = store.contract(hash)?.terms;
    const grant = this.grantOf(request, terms, token);
    // The same answer for what is not there and for what is somebody else's.
    if (terms === undefined || (grant === undefined && terms.renter !== token.body.renter)) {
      throw new FarmerError('FARMER_NOT_FOUND', 'there is no such shard here');
    }
    const span = nodeSpan(request.level);
    const end = offset + length;
    const aligned = offset % span === 0 && (end % span === 0 || end === terms.shardSize);
    if (end > terms.shardSize || !aligned || (length === 0 && terms.shardSize > 0)) {
      throw new FarmerError(
        'FARMER_RANGE',
        `bytes ${offset} to ${end} are not whole nodes of level ${request.level} of the shard`,
      );
    }
    const first = offset / span;
    const last = Math.max(first, Math.ceil(end / span) - 1);
    if (last - first >= 65_536)
      throw new FarmerError('FARMER_RANGE', 'the range has too many nodes');
    const shared = grant && { renter: terms.renter, grant };
    const used = grant && grants.admit(terms.renter, grant, length);
    let settled: () => void = () => undefined;
    let shard: Awaited<ReturnType<ShardStore['openShard']>>;
    try {
      settled = whenPaid(() =>
        payee.admitDownload(terms.renter, hash, length, grant !== undefined),
      );
      shard = await store.openShard(hash);
    } catch (error) {
      settled();
      await used?.(0);
      throw error;
    }
    let gone = 0;
    const receipt = (bytes: number) => this.receipt(token, terms, bytes, settled, shared);
    try {
      const tree = await shard.tree(request.level);
      const proof = tree.rangeProof(request.level, first, last);
      this.answer({
        type: 'data',
        nodes: proof.nodes.length / 32,
        siblings: proof.siblings.length / 32,
      });
      let sent = this.send(Buffer.concat([proof.nodes, proof.siblings]));
      const frame = request.frame ?? USUAL_DATA_FRAME;
      const most = Math.min(frame, length);
      let [free, busy] = [frameBuffers.take(most), frameBuffers.take(most)];
      for (let at = offset; at < end;) {
        const size = Math.min(frame, end - at);
        const bytes = free.subarray(0, size);
        await shard.readFully(bytes, at);
        await sent;
        gone = at - offset;
        if (this.frames.takeCancel()) throw new Cancelled(receipt(gone));
        sent = this.send(bytes);
        // What went out before is out.
        [free, busy] = [busy, free];
        counters.bytesOut += size;
        at += size;
      }
      await sent;
      // Not after an error: what was sent may still be on its way then.
      frameBuffers.give(free);
      frameBuffers.give(busy);
      gone = length;
      counters.downloads += 1;
      this.answer({ type: 'sent', receipt: receipt(length) });
    } catch (error) {
      if (error instanceof Cancelled) throw error;
      receipt(gone);
      throw new BrokenTransfer(error);
    } finally {
      await used?.(gone);
      await shard.close();
    }
  }

  /** The leave that somebody else than the renter reads by; undefined when there is none that is good. */
  private grantOf(
    request: DownloadRequest,
    terms: ContractTerms | undefined,
    { body }: TransferToken,
  ): ReadGrant | undefined {
    if (request.grant === undefined || terms === undefined) return undefined;
    const { clock } = this.context;
    try {
      return parseReadGrant(request.grant, {
        renter: terms,
        contract: body.contract,
        reader: body.renter,
        now: clock.now(),
      });
    } catch (error) {
      // Only who was granted something is told more than that there is nothing.
      if (error instanceof ProtocolError && error.code === 'PROTOCOL_EXPIRED') throw error;
      return undefined;
    }
  }

  private async delete(request: Extract<TransferRequest, { type: 'delete' }>): Promise<void> {
    const { store, tokens, counters, uploads } = this.context;
    const token = tokens.take(request.token, 'delete', this.peer);
    const hash = token.body.contract;
    const terms = store.contract(hash)?.terms;
    if (terms !== undefined && terms.renter !== token.body.renter) {
      throw new FarmerError('FARMER_FORBIDDEN', 'the shard is of another renter');
    }
    await uploads.get(hash)?.stop();
    const freed = await store.delete(hash, JSON.stringify(token));
    const { payee, logger } = this.context;
    await payee.ready();
    payee
      .ended(token.body.renter, hash, 'deleted')
      .catch((error: unknown) =>
        logger.error({ error: messageOf(error) }, 'the end of a contract was not written down'),
      );
    counters.deletes += 1;
    this.answer({ type: 'deleted', receipt: this.receipt(token, terms, freed) });
  }

  private async countersign(
    request: Extract<TransferRequest, { type: 'countersign' }>,
  ): Promise<void> {
    const last = this.lastReceipt;
    if (last === undefined || last.receipt.body.contract !== request.contract) {
      throw new FarmerError('FARMER_PROTOCOL', 'there is no receipt to countersign');
    }
    const { renter, renterKey } = last.token.body;
    checkCountersignature(
      last.receipt,
      { nodeId: renter, publicKey: renterKey },
      request.signature,
    );
    this.lastReceipt = undefined;
    if (last.shared !== undefined) return this.keepShared(last, last.shared, request.signature);
    const { receipt, terms } = last;
    const { payee, store, logger } = this.context;
    const renterSignature = request.signature;
    const signed = terms && { renter, terms, receipt, renterSignature };
    if (signed !== undefined) await store.keepReceipt(signed);
    await payee.ready();
    // Nobody waits for it: until it is written it counts as being served, and a crash does not take it.
    payee
      .countersigned(renter, terms, receipt, renterSignature)
      .then(() => {
        last.settled();
        if (signed !== undefined) store.bookedReceipt(signed);
      })
      .catch((error: unknown) =>
        logger.error({ error: messageOf(error) }, 'a receipt was not written down'),
      );
  }

  /** A reader has signed for what it was sent: the renter signs, too, when it settles its account. */
  private async keepShared(
    { receipt, settled }: GivenReceipt,
    { renter, grant }: NonNullable<GivenReceipt['shared']>,
    readerSignature: string,
  ): Promise<void> {
    const { payee } = this.context;
    await payee.shared(renter, receipt.body, { grant, readerSignature });
    settled();
  }

  /** @param settled - called when the receipt is written down, countersigned or not */
  private receipt(
    token: TransferToken,
    terms: ContractTerms | undefined,
    bytes: number,
    settled: () => void = () => undefined,
    shared?: GivenReceipt['shared'],
  ): Receipt {
    const { identity, clock } = this.context;
    const { contract, direction, nonce } = token.body;
    const body = { contract, direction, bytes, token: nonce, time: clock.now() };
    const receipt = signReceipt(identity, body);
    this.noteUnsigned();
    this.lastReceipt = { receipt, terms, token, settled, ...(shared !== undefined && { shared }) };
    return receipt;
  }

  /** What the renter was sent and has not signed for counts against its credit. */
  private noteUnsigned(): void {
    const { lastReceipt } = this;
    this.lastReceipt = undefined;
    if (lastReceipt?.receipt.body.direction !== 'download') return;
    const { receipt, token, settled, shared } = lastReceipt;
    const { payee, logger } = this.context;
    this.noted = payee
      .brokeOff(shared?.renter ?? token.body.renter, receipt.body, shared !== undefined)
      .then(settled)
      .catch((error: unknown) =>
        logger.error({ error: messageOf(error) }, 'an unsigned transfer was not written down'),
      );
  }

  private answer(answer: TransferAnswer): void {
    if (this.socket.readyState !== this.socket.OPEN) return;
    this.answered = this.send(JSON.stringify(answer));
  }

  /** Send bytes; resolves when the socket has taken them, rejects when it does not for too long. */
  private send(bytes: Uint8Array | string): Promise<void> {
    const { socket } = this;
    const { clock, timeouts } = this.context;
    const sent = new Promise<void>((resolve, reject) => {
      const timer = clock.setTimeout(
        () => reject(new FarmerError('FARMER_TIMEOUT', 'the renter does not read')),
        timeouts.stallMs,
      );
      const done = (error?: Error) => {
        clock.clearTimeout(timer);
        if (error) reject(new FarmerError('FARMER_PROTOCOL', error.message));
        else resolve();
      };
      if (typeof bytes === 'string' || socket.sendBytes === undefined) socket.send(bytes, done);
      else socket.sendBytes(bytes, done);
    });
    sent.catch(() => undefined); // it is awaited one step later
    return sent;
  }

  private refuse(error: unknown): void {
    const { logger, counters } = this.context;
    counters.refused += 1;
    this.told = true;
    const cause = error instanceof BrokenTransfer ? error.cause : error;
    if (cause instanceof FarmerError || cause instanceof ProtocolError) {
      logger.debug({ code: cause.code, message: cause.message }, 'refused a transfer');
      this.answer({ type: 'error', code: cause.code, message: cause.message.slice(0, 1024) });
    } else {
      logger.error({ error: cause }, 'a transfer failed');
      this.answer({ type: 'error', code: 'FARMER_INTERNAL', message: 'internal error' });
    }
  }

  private end(error: unknown): void {
    this.noteUnsigned();
    if (this.socket.readyState !== this.socket.OPEN) return this.socket.terminate();
    if (!this.told) this.refuse(error);
    // 1008: policy violation (RFC 6455, section 7.4.1).
    this.socket.close(1008);
    const timer = this.context.clock.setTimeout(() => this.socket.terminate(), 5_000);
    this.socket.once('close', () => this.context.clock.clearTimeout(timer));
  }
}

/** A transfer that broke off after bytes had begun to flow. */
class BrokenTransfer extends Error {
  constructor(cause: unknown) {
    super('the transfer broke off', { cause });
  }
}

/** @throws FarmerError FARMER_UNPAID for PAYMENT_UNPAID. */
function whenPaid<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof PaymentError)) throw error;
    throw new FarmerError('FARMER_UNPAID', error.message, { cause: error });
  }
}

/** Whether the connection can go on after this error. */
function isRefusal(error: unknown): boolean {
  return (
    (error instanceof FarmerError && error.code !== 'FARMER_PROTOCOL') ||
    (error instanceof ProtocolError && error.code !== 'PROTOCOL_TOO_LARGE')
  );
}

/** The leaves of the audits that a contract commits to. @throws FarmerError FARMER_TERMS. */
function auditLeavesOf(
  { audits = '' }: UploadRequest,
  { auditRoot, auditCount }: ContractTerms,
): Uint8Array {
  const leaves = fromHex(audits);
  const fits =
    auditRoot === null
      ? leaves.length === 0
      : leaves.length === auditCount * 32 && equalBytes(auditRootOf(leaves), fromHex(auditRoot));
  if (!fits) throw new FarmerError('FARMER_TERMS', "the audit leaves are not the contract's");
  return leaves;
}
