import {
  type Clock,
  type Identity,
  type Logger,
  type MethodContext,
  messageOf,
} from '@granary/kad';
import {
  type AccountAnswer,
  type ContractTerms,
  type PaymentClaim,
  type PaymentTerms,
  type Receipt,
  type ReceiptBody,
  type Renewal,
  type Statement,
  type TunnelReceipt,
  RECEIPT_PAGE,
  acceptStatement,
  checkCountersignature,
  checkVoucher,
  parseAccountRequest,
  parsePayRequest,
  parseReceiptBody,
  parseStatementProposal,
  parseVoucher,
  signClaim,
  signReceipt,
  toHex,
} from '@granary/protocol';
import { owedFine } from './account.js';
import { FINE_PARTS, storageCharge, trafficCharge, wholeUnits } from './amounts.js';
import { type Channel, promisedIn } from './channel.js';
import { withinCredit } from './credit.js';
import { PaymentError } from './errors.js';
import { isFree } from './free-terms.js';
import type { BookStep, PaymentBook, SharedProof } from './payment-book.js';
import { egressPriceAt } from './position.js';
import type { ChannelParties, ChannelView, Settlement } from './settlement.js';
import { StepQueue } from './step-queue.js';

/** What a {@link Payee} is made of. */
export interface PayeeParts {
  readonly identity: Identity;
  readonly book: PaymentBook;
  readonly settlement: Settlement;
  /** Units that a renter may owe before it is served no more. */
  readonly creditLimit: bigint;
  /** The shortest challenge period of channels that are accepted, in milliseconds. */
  readonly minChallengeMs?: number;
  /** Vouchers are redeemed when they are worth this many units more than what was redeemed. */
  readonly redeemAt?: bigint;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * How long the sum of what is unaudited is reckoned on from what all positions once came to, in
 * milliseconds: the sum may be too high for so long after contracts have ended.
 */
const FRESH_MS = 60_000;
/** How long another process's change of the book may go unseen, in milliseconds. */
const STANDING_MS = 1_000;
/** Peers whose sums are remembered. */
const MAX_REMEMBERED = 4096;
/** How long what a chain said of a deposit is believed, in milliseconds. */
const DEPOSIT_FRESH_MS = 30_000;

/** Steps that may wait to be written; who has more has to wait. */
const MAX_WAITING = 1024;
/** Contracts that are written in one transaction when a crash is made good. */
const BATCH = 256;
/** How old receipts are that are looked for then, in milliseconds: less than the book remembers them. */
const RECOVERED_MS = 150 * 24 * 3600 * 1000;

/** A contract whose shard is held. */
export interface StoredContract {
  readonly contract: string;
  readonly terms: ContractTerms;
  /** A receipt that the renter has countersigned: that of the upload, if there is one. */
  readonly signed?: { readonly receipt: Receipt; readonly renterSignature: string };
}

/** A receipt that the renter has countersigned, with all that it takes to count it. */
export interface SignedTransfer {
  readonly renter: string;
  /** The contract's terms: it may be gone when this is counted. */
  readonly terms: ContractTerms;
  readonly receipt: Receipt;
  readonly renterSignature: string;
}

/** The most transfers to readers that wait for their renter's signature, for each renter. */
const MAX_SHARED = 4096;

/** How a renter stands: fine parts owed and not signed for, and units promised. */
interface Standing {
  readonly owedFine: bigint;
  readonly unproved: bigint;
  /** Of what is not signed for: what went to readers, and how many transfers that was. */
  readonly shared: bigint;
  readonly sharedCount: number;
  readonly promised: bigint;
}

/** Storage of a renter that is not audited: fine parts at a time, and how they grow from then on. */
interface UnauditedSum {
  readonly at: number;
  fine: bigint;
  perMs: bigint;
}

/** Count a shard, too, that is stored since a time. */
function addOpening(sum: UnauditedSum, terms: ContractTerms, since: number): void {
  const perMs = storageCharge(BigInt(terms.storagePrice), terms.shardSize, 1);
  sum.fine += perMs * BigInt(sum.at - Math.max(since, terms.begin));
  sum.perMs += perMs;
}

/** What a farmer's store knows of contracts. */
export interface StoredContracts {
  all(): Iterable<StoredContract>;
  /** Whether a contract's shard is held. */
  has(contract: string): boolean;
  /** Receipts of which it is not noted that they are in the book; {@link StoredContracts.booked} may be called meanwhile. */
  unbooked(): Iterable<SignedTransfer>;
  /** Such a receipt is in the book, on the disk: it need not be kept any more. */
  booked(transfer: SignedTransfer): void;
}

/** @param open - whether its contract's position begins with it, if there is none */
function receiptStep(
  peer: string,
  terms: ContractTerms | undefined,
  receipt: Receipt,
  renterSignature: string,
  open = receipt.body.direction === 'upload',
): BookStep {
  const { body } = receipt;
  const { contract, time } = body;
  return {
    peer,
    ...(open &&
      terms !== undefined && {
        open: { side: 'renter', contract, terms, since: time },
      }),
    receipt: body,
    keep: { receipt, renterSignature },
  };
}

/** The side that is paid: meters, gives credit up to a limit, takes vouchers, redeems them. */
export class Payee {
  private readonly unaudited = new Map<string, Map<string, UnauditedSum>>();
  private readonly standings = new Map<
    string,
    { at: number; version: number; standing: Standing }
  >();
  private readonly looked = new Map<string, number>();
  /** Fine parts for what is being served now, by renter. */
  private readonly serving = new Map<string, bigint>();
  /** Of that, what goes to readers that the renter has granted it. */
  private readonly servingShared = new Map<string, bigint>();
  private readonly steps: StepQueue;
  /** Whether the last one to use the book had written everything down. */
  private wasWhole: boolean | undefined;
  /** Whether the book has everything that is not in `steps`. */
  private recovered = false;
  /** Whether something could not be written: it is looked for at the next start. */
  private failed = false;

  constructor(private readonly parts: PayeeParts) {
    this.steps = new StepQueue(parts.book, parts.clock);
  }

  /** The book of what is owed to this node. */
  get book(): PaymentBook {
    return this.parts.book;
  }

  /** How this node wants to be paid. */
  get terms(): PaymentTerms {
    const { settlement, creditLimit } = this.parts;
    return {
      settlement: settlement.kind,
      contract: settlement.kind === 'evm' ? settlement.domain.contract : null,
      creditLimit: creditLimit.toString(),
    };
  }

  /**
   * Whether a renter may have a shard stored: what it owes and what the shard costs for a day come to
   * no more than its credit.
   *
   * @throws PaymentError PAYMENT_UNPAID.
   */
  checkUpload(terms: ContractTerms): void {
    if (isFree(terms)) return;
    const day = Math.min(24 * 3600 * 1000, terms.end - terms.begin);
    const next = storageCharge(BigInt(terms.storagePrice), terms.shardSize, day);
    this.check(terms.renter, terms.currency, next);
  }

  /**
   * Let a renter read bytes of a shard, if its credit is good for them. They count against it until they
   * are written down otherwise: countersigned, or broken off.
   *
   * @param shared - somebody else reads by the renter's leave: half the credit is for that, so that
   * readers can't keep the renter itself from being served
   * @returns to be called when they are
   * @throws PaymentError PAYMENT_UNPAID.
   */
  admitDownload(renter: string, contract: string, bytes: number, shared = false): () => void {
    const position = this.book.position(renter, contract);
    const terms = this.steps.openingOf(contract)?.terms;
    const currency = position?.currency ?? terms?.currency;
    if (currency === undefined) return () => undefined;
    const price =
      position === undefined
        ? BigInt(terms!.egressPrice)
        : egressPriceAt(position, this.parts.clock.now());
    const charge = trafficCharge(price, bytes);
    this.check(renter, currency, charge);
    if (shared) this.checkShared(renter, currency, charge);
    const counts = shared ? [this.serving, this.servingShared] : [this.serving];
    for (const count of counts) count.set(renter, (count.get(renter) ?? 0n) + charge);
    let done = false;
    return () => {
      if (done) return;
      done = true;
      for (const count of counts) {
        const left = (count.get(renter) ?? 0n) - charge;
        if (left > 0n) count.set(renter, left);
        else count.delete(renter);
      }
    };
  }

  /**
   * A shard is stored, under a contract that both have signed: its position begins, whether or not the
   * renter signs the receipt, too. On the disk when the promise resolves, which may take a moment.
   *
   * @param since - the time of the receipt
   */
  async stored(contract: string, terms: ContractTerms, since: number): Promise<void> {
    if (isFree(terms)) return;
    const sum = this.unaudited.get(terms.renter)?.get(terms.currency);
    if (sum !== undefined) addOpening(sum, terms, since);
    await this.write({ peer: terms.renter, open: { side: 'renter', contract, terms, since } });
  }

  /**
   * A renter has countersigned a receipt. On the disk when the promise resolves, which may take a moment:
   * what was countersigned within it is written at one time.
   *
   * @param terms - the contract's, while it is there
   */
  async countersigned(
    renter: string,
    terms: ContractTerms | undefined,
    receipt: Receipt,
    renterSignature: string,
  ): Promise<void> {
    await this.write(receiptStep(renter, terms, receipt, renterSignature));
  }

  /**
   * Note in the book that it may lack something from now on, until it is closed. To be called before
   * anything is served: otherwise what a crash takes away is not looked for.
   */
  async start(): Promise<void> {
    if (this.wasWhole !== undefined) return;
    this.wasWhole = this.recovered = this.book.isWhole;
    if (this.wasWhole) await this.book.markWhole(false);
  }

  /**
   * What a crash has kept out of the book: positions of shards that are stored, receipts that the
   * renter has signed, and the end of what is stored no more. What is in the book already counts for nothing more: receipts are known by
   * the nonces of their tokens. After a good end only receipts are looked at of which it was not noted
   * that they are in the book. Whoever calls this is the only process that serves from this book, and its store
   * is complete.
   *
   * @param signal - stops it between two batches
   * @returns how many there were to write
   */
  async recover(store: StoredContracts, signal: AbortSignal): Promise<number> {
    const { clock } = this.parts;
    await this.start();
    // What comes now and what is looked for do not meet half-way.
    await this.steps.flush();
    if (this.wasWhole === true) return this.recoverTransfers(store, false, signal);
    let found = 0;
    let batch: BookStep[] = [];
    const write = async () => {
      await this.book.record(batch);
      batch = [];
      // Others get their turn: there may be millions.
      await new Promise((resolve) => clock.setTimeout(() => resolve(undefined), 0));
    };
    for (const { contract, terms, signed } of store.all()) {
      if (signal.aborted) break;
      if (isFree(terms)) continue;
      const { renter } = terms;
      const isNew = this.book.position(renter, contract) === undefined;
      const time = signed?.receipt.body.time ?? clock.now();
      // Older receipts may have been forgotten as such: they were written down long ago.
      const lost =
        signed !== undefined &&
        time > clock.now() - RECOVERED_MS &&
        !this.book.knows(renter, signed.receipt.body.token);
      if (!isNew && !lost) continue;
      found += 1;
      const uploaded = signed?.receipt.body.direction === 'upload' ? time : clock.now();
      const open = { side: 'renter', contract, terms, since: uploaded } as const;
      const receipt = lost
        ? receiptStep(renter, undefined, signed.receipt, signed.renterSignature)
        : {};
      batch.push({ peer: renter, open, ...receipt });
      if (batch.length >= BATCH) await write();
    }
    await write();
    found += await this.recoverTransfers(store, true, signal);
    // What is held no more was deleted, and its end was not written down.
    for (let from: string | undefined = ''; from !== undefined && !signal.aborted;) {
      const page = this.book.openPositions(from, BATCH);
      for (const [peer, { contract }] of page.positions) {
        if (store.has(contract)) continue;
        found += 1;
        batch.push({ peer, ended: { contract, why: 'deleted' } });
      }
      await write();
      from = page.next;
    }
    this.unaudited.clear();
    this.recovered = !signal.aborted;
    return found;
  }

  /**
   * Count the receipts that the store still keeps, each once.
   *
   * @param open - whether a contract without a position gets one: it is lost, not long over
   * @returns how many there were to write
   */
  private async recoverTransfers(
    store: StoredContracts,
    open: boolean,
    signal: AbortSignal,
  ): Promise<number> {
    const oldest = this.parts.clock.now() - RECOVERED_MS;
    let found = 0;
    let batch: SignedTransfer[] = [];
    const write = async () => {
      const steps = batch.filter(({ receipt }) => receipt.body.time > oldest);
      const isNew = await this.book.record(
        steps.map(({ renter, terms, receipt, renterSignature }) =>
          receiptStep(renter, open ? terms : undefined, receipt, renterSignature, true),
        ),
      );
      found += isNew.filter(Boolean).length;
      for (const one of batch) store.booked(one);
      batch = [];
    };
    for (const transfer of store.unbooked()) {
      if (signal.aborted) break;
      if (batch.push(transfer) >= BATCH) await write();
    }
    await write();
    return found;
  }

  /**
   * A download broke off before the renter could sign for these bytes.
   *
   * @param shared - somebody else read by the renter's leave, and did not sign either
   */
  async brokeOff(renter: string, body: ReceiptBody, shared = false): Promise<void> {
    await this.steps.flush();
    if (body.bytes > 0) await this.book.addPending(renter, body, shared ? null : undefined);
  }

  /**
   * Somebody has read by the renter's leave and signed for it (checked by the caller): the renter is
   * shown the proof when it settles its account, and signs for it, too.
   */
  async shared(renter: string, body: ReceiptBody, proof: SharedProof): Promise<void> {
    const { contract, bytes } = body;
    const known = this.book.position(renter, contract) ?? this.steps.openingOf(contract);
    // What is free is not accounted for.
    if (bytes === 0 || known === undefined) return;
    await this.steps.flush();
    await this.book.addPending(renter, body, proof);
  }

  /**
   * A shard is gone: the renter had it deleted, or it was lost. On the disk when the promise resolves,
   * which may take a moment.
   */
  async ended(renter: string, contract: string, why: 'deleted' | 'failed'): Promise<void> {
    const known = this.book.position(renter, contract) ?? this.steps.openingOf(contract);
    if (known === undefined) return;
    await this.write({ peer: renter, ended: { contract, why } });
    this.unaudited.delete(renter);
  }

  /** An audit of one of a renter's shards was answered, at a time that the answer bears. */
  async audited(renter: string, time: number): Promise<void> {
    await this.steps.flush();
    await this.book.accrue(renter, time);
    this.unaudited.delete(renter);
  }

  /** A contract was renewed. */
  async renewed(renter: string, { body }: Renewal): Promise<void> {
    await this.steps.flush();
    await this.book.extend(renter, body.contract, {
      until: body.end,
      storagePrice: BigInt(body.storagePrice),
      egressPrice: BigInt(body.egressPrice),
    });
    this.unaudited.delete(renter);
  }

  /** Answer `ACCOUNT`: see {@link AccountAnswer}. */
  async answerAccount(
    params: unknown,
    { sender }: Pick<MethodContext, 'sender'>,
  ): Promise<AccountAnswer> {
    const request = parseAccountRequest(params);
    await this.steps.flush();
    const renter = sender.nodeId;
    for (const { body, signature } of request.signed) {
      await this.takeSigned(renter, sender.publicKey, parseReceiptBody(body), signature);
    }
    const channels = this.book.channelsWith(renter, request.currency);
    const pending = this.book.pending(renter);
    const shared = pending.flatMap(({ body, shared: proof }) =>
      proof === undefined || proof === null ? [] : [{ body, ...proof }],
    );
    return {
      claim: this.claim(renter, request.currency),
      receipts: this.book.receipts(renter, request.currency, request.after, RECEIPT_PAGE),
      pending: pending
        .filter((row) => row.shared === undefined)
        .slice(0, RECEIPT_PAGE)
        .map(({ body }) => body),
      ...(shared.length > 0 && { shared: shared.slice(0, RECEIPT_PAGE) }),
      vouchers: channels
        .filter(({ voucher }) => voucher !== null)
        .slice(-RECEIPT_PAGE)
        .map(({ descriptor, voucher }) => ({ channel: descriptor, voucher })),
      ...(request.tunnels !== undefined && {
        tunnels: this.tunnelReceipts(renter, request.currency, request.tunnels),
      }),
    };
  }

  /**
   * Answer `PAY`: keep a voucher, on the disk before the answer goes out.
   *
   * @throws ProtocolError for a forged voucher; PaymentError PAYMENT_CURRENCY, PAYMENT_CHANNEL,
   * PAYMENT_DEPOSIT or PAYMENT_CHAIN_UNREACHABLE.
   */
  async answerPay(
    params: unknown,
    { sender }: Pick<MethodContext, 'sender'>,
  ): Promise<{ claim: PaymentClaim }> {
    const { settlement, clock } = this.parts;
    const request = parsePayRequest(params);
    const voucher = parseVoucher(request.voucher);
    if (request.currency !== settlement.currency) {
      throw new PaymentError('PAYMENT_CURRENCY', `this node is paid in ${settlement.currency}`);
    }
    checkVoucher(voucher, settlement.domain, sender.publicKey);
    const parties = this.partiesOf(sender);
    const known = this.book.channel(sender.nodeId, voucher.channel);
    if (settlement.describe(voucher.channel) !== request.channel) {
      throw new PaymentError('PAYMENT_CHANNEL', `this node is not paid through ${request.channel}`);
    }
    const amount = BigInt(voucher.amount);
    let channel = known;
    const stale = (this.looked.get(voucher.channel) ?? 0) + DEPOSIT_FRESH_MS < clock.now();
    if (channel === undefined || (stale && settlement.kind === 'evm') || exceeds(channel, amount)) {
      channel = await this.refresh(sender.nodeId, voucher.channel, parties);
    }
    if (channel.state === 'closed') {
      throw new PaymentError('PAYMENT_CHANNEL', 'this channel is closed: open another one');
    }
    if (exceeds(channel, amount)) {
      throw new PaymentError(
        'PAYMENT_DEPOSIT',
        `the channel is good for ${channel.deposit} at this time, not for ${amount}: top it up, ` +
          'or wait until its deposit is confirmed',
      );
    }
    await this.book.begin(sender.nodeId, sender.publicKey, request.currency);
    await this.book.keepVoucher(sender.nodeId, voucher);
    return { claim: this.claim(sender.nodeId, request.currency) };
  }

  /** Answer `STATEMENT`: countersign what is true. @throws PaymentError PAYMENT_DISPUTED. */
  async answerStatement(
    params: unknown,
    { sender }: Pick<MethodContext, 'sender'>,
  ): Promise<Statement> {
    const { identity, clock } = this.parts;
    const proposal = parseStatementProposal(params, sender.publicKey);
    const { renter, farmer, currency, promised, settled } = proposal.body;
    if (renter !== sender.nodeId || farmer !== identity.nodeId) {
      throw new PaymentError('PAYMENT_DISPUTED', 'the statement is of other nodes');
    }
    const ours = {
      promised: this.book.promised(renter, currency).toString(),
      settled: this.book.settled(renter, currency).toString(),
    };
    if (ours.promised !== promised || ours.settled !== settled) {
      throw new PaymentError(
        'PAYMENT_DISPUTED',
        `this node has vouchers for ${ours.promised}, of which ${ours.settled} are settled; the ` +
          `statement says ${promised} and ${settled}`,
      );
    }
    const statement = acceptStatement(identity, proposal);
    await this.book.putStatement(renter, clock.now(), statement);
    return statement;
  }

  /** What a tunnel has carried for a client, as both have signed (checked by the caller). */
  async tunnelled(
    client: { nodeId: string; publicKey: string },
    receipt: TunnelReceipt,
  ): Promise<void> {
    await this.book.addTunnel(client.nodeId, client.publicKey, receipt.body, receipt);
  }

  /** Whether a tunnel should carry more bytes for a client. @throws PaymentError PAYMENT_UNPAID. */
  checkTunnel(client: string, currency: string, price: bigint, bytes: number): void {
    // The caller has looked into the book for what is not in `bytes`: this must not be older.
    this.standings.delete(standingKey(client, currency));
    this.check(client, currency, trafficCharge(price, bytes));
  }

  /** What this node claims of a renter now, signed. */
  claim(renter: string, currency: string): PaymentClaim {
    const { identity, clock, creditLimit } = this.parts;
    const account = this.book.account(renter, currency);
    const now = clock.now();
    return signClaim(identity, {
      renter,
      farmer: identity.nodeId,
      currency,
      storage: (account?.storage ?? 0n).toString(),
      egress: (account?.egress ?? 0n).toString(),
      tunnel: (account?.tunnel ?? 0n).toString(),
      claimed: (account === undefined ? 0n : wholeUnits(owedFine(account))).toString(),
      promised: this.book.promised(renter, currency).toString(),
      settled: this.book.settled(renter, currency).toString(),
      unproved: this.book.unproved(renter).toString(),
      unaudited: this.book.unaudited(renter, currency, now).fine.toString(),
      audited: account?.audited ?? 0,
      creditLimit: creditLimit.toString(),
      time: now,
    });
  }

  /**
   * See how every channel stands, and turn vouchers into money: those worth it, and all of a channel
   * whose payer wants to close it. What fails is tried again by the next call.
   *
   * @param all - redeem whatever can be
   * @returns what was redeemed in whole units, and why some of it could not be
   */
  async collect(all = false): Promise<{ redeemed: bigint; failures: string[] }> {
    const { settlement, logger, redeemAt = 1n } = this.parts;
    const failures: string[] = [];
    let redeemed = 0n;
    for (const row of [...this.book.channels()]) {
      if (row.settlement !== settlement.kind || row.settlement === 'ledger') continue;
      if (row.state === 'closed' || row.currency !== settlement.currency) continue;
      try {
        const account = this.book.account(row.peer, row.currency);
        if (account === undefined) continue;
        const parties = this.partiesOf({ nodeId: row.peer, publicKey: account.peerKey });
        let view = await settlement.look(row.id, parties);
        const due = view === undefined ? 0n : redeemable(row, view);
        if (view !== undefined && due > 0n && (all || due >= redeemAt || view.closesAt !== null)) {
          await settlement.redeem(row.id, row.voucher!);
          redeemed += due;
          view = await settlement.look(row.id, parties);
        }
        await this.note(row.peer, row.id, view);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        logger.warn({ channel: row.id, renter: row.peer, reason }, 'a channel was not collected');
        failures.push(`channel ${row.id}: ${reason}`);
      }
    }
    return { redeemed, failures };
  }

  /**
   * Note that a renter has paid some of what it promised outside (ledger): what its channel settles is
   * raised by `units`.
   *
   * @throws PaymentError PAYMENT_CHANNEL or PAYMENT_AMOUNT.
   */
  async received(renter: string, currency: string, units: bigint): Promise<Channel> {
    const [channel] = this.book
      .channelsWith(renter, currency)
      .filter(({ settlement }) => settlement === 'ledger');
    if (channel === undefined) {
      throw new PaymentError('PAYMENT_CHANNEL', `node ${renter} has promised nothing by ledger`);
    }
    const changed = await this.book.changeChannel(renter, channel.id, (known) => {
      const settled = known!.settled + units;
      if (settled > promisedIn(known!) || settled < 0n) {
        throw new PaymentError(
          'PAYMENT_AMOUNT',
          `${promisedIn(known!)} were promised and ${known!.settled} are settled: ${units} is too much`,
        );
      }
      return { ...known!, settled };
    });
    return changed!;
  }

  /** Resolves when more can be told: at once, unless the disk does not keep up. */
  async ready(): Promise<void> {
    if (this.steps.length >= MAX_WAITING) await this.steps.flush();
  }

  /** Write down now what {@link Payee.stored} and {@link Payee.countersigned} were told. */
  flush(): Promise<void> {
    return this.steps.flush();
  }

  async close(): Promise<void> {
    try {
      await this.steps.flush();
      if (this.recovered && !this.failed) await this.book.markWhole(true);
    } catch (error) {
      this.parts.logger.error({ error: messageOf(error) }, 'receipts were not written down');
    }
    await this.parts.settlement.close();
    await this.book.close();
  }

  /** @param next - fine parts */
  private check(renter: string, currency: string, next: bigint): void {
    const { creditLimit } = this.parts;
    const known = this.standing(renter, currency);
    const exposure = {
      ...known,
      unproved: known.unproved + (this.serving.get(renter) ?? 0n),
      unaudited: this.unauditedOf(renter, currency),
    };
    if (withinCredit(exposure, creditLimit, next)) return;
    const open = exposure.owedFine + exposure.unproved + exposure.unaudited + next;
    const units = (open + FINE_PARTS - 1n) / FINE_PARTS - exposure.promised;
    throw new PaymentError(
      'PAYMENT_UNPAID',
      `this would bring what is unpaid to ${units}, and the credit here is ${creditLimit} ` +
        `${currency}: pay first, or audit what is stored here so that it can be paid`,
    );
  }

  private checkShared(renter: string, currency: string, next: bigint): void {
    if (next === 0n) return;
    const { shared, sharedCount } = this.standing(renter, currency);
    const open = shared + (this.servingShared.get(renter) ?? 0n) + next;
    if (sharedCount < MAX_SHARED && 2n * open <= this.parts.creditLimit * FINE_PARTS) return;
    throw new PaymentError(
      'PAYMENT_UNPAID',
      "what was read by this owner's shares is not paid for: it is, when the owner's node runs again",
    );
  }

  private tunnelReceipts(client: string, currency: string, after: string): TunnelReceipt[] {
    const found: TunnelReceipt[] = [];
    for (const { receipt } of this.book.tunnels(client, after)) {
      if (found.length === RECEIPT_PAGE) break;
      if (receipt?.body.currency === currency) found.push(receipt);
    }
    return found;
  }

  private async write(step: BookStep): Promise<void> {
    try {
      await this.steps.add(step);
    } catch (error) {
      this.failed = true;
      throw error;
    }
  }

  /** What the book says of a renter. Asked before every transfer, so it is not read anew each time. */
  private standing(renter: string, currency: string): Standing {
    const key = standingKey(renter, currency);
    const { version } = this.book;
    const now = this.parts.clock.now();
    const known = this.standings.get(key);
    const fresh = known?.version === version && now - known.at < STANDING_MS && now >= known.at;
    if (fresh) return known.standing;
    const account = this.book.account(renter, currency);
    const toReaders = this.book.pending(renter).filter((row) => row.shared !== undefined);
    const standing = {
      owedFine: account === undefined ? 0n : owedFine(account),
      unproved: this.book.unproved(renter),
      shared: toReaders.reduce((sum, { charge }) => sum + charge, 0n),
      sharedCount: toReaders.length,
      promised: this.good(renter, currency),
    };
    if (this.standings.size >= MAX_REMEMBERED) this.standings.clear();
    this.standings.set(key, { at: now, version, standing });
    return standing;
  }

  /** Vouchers count as far as their channels have the money. */
  private good(renter: string, currency: string): bigint {
    return this.book.channelsWith(renter, currency).reduce((sum, channel) => {
      const promised = promisedIn(channel);
      if (channel.state === 'closed') return sum + channel.settled;
      const { deposit } = channel;
      return sum + (deposit === null || promised <= deposit ? promised : deposit);
    }, 0n);
  }

  private unauditedOf(renter: string, currency: string): bigint {
    const now = this.parts.clock.now();
    let known = this.unaudited.get(renter)?.get(currency);
    if (known === undefined || now - known.at >= FRESH_MS || now < known.at) {
      known = { at: now, ...this.book.unaudited(renter, currency, now) };
      // And what is not in the book yet.
      for (const { contract, terms, since } of this.steps.openings()) {
        if (terms.renter !== renter || terms.currency !== currency) continue;
        if (this.book.position(renter, contract) === undefined) addOpening(known, terms, since);
      }
      if (this.unaudited.size >= MAX_REMEMBERED) this.unaudited.clear();
      const sums = this.unaudited.get(renter) ?? new Map<string, UnauditedSum>();
      this.unaudited.set(renter, sums.set(currency, known));
    }
    return known.fine + known.perMs * BigInt(now - known.at);
  }

  /** The renter's own count of a download that broke off: never more than was sent. */
  private async takeSigned(
    renter: string,
    renterKey: string,
    body: ReceiptBody,
    signature: string,
  ): Promise<void> {
    const pending = this.book.pendingOne(renter, body.token);
    if (
      pending === undefined ||
      body.contract !== pending.body.contract ||
      body.direction !== pending.body.direction ||
      body.time !== pending.body.time ||
      body.bytes > pending.body.bytes
    ) {
      return;
    }
    const receipt = signReceipt(this.parts.identity, body);
    checkCountersignature(receipt, { nodeId: renter, publicKey: renterKey }, signature);
    await this.book.addReceipt(renter, body, { receipt, renterSignature: signature });
  }

  private partiesOf(payer: { nodeId: string; publicKey: string }): ChannelParties {
    const { identity, settlement } = this.parts;
    return {
      payer: { nodeId: payer.nodeId, publicKey: payer.publicKey },
      payee: { nodeId: identity.nodeId, publicKey: toHex(identity.publicKey) },
      currency: settlement.currency,
    };
  }

  /** Ask the settlement about a channel, and write down what it says. */
  private async refresh(peer: string, id: string, parties: ChannelParties): Promise<Channel> {
    const { settlement, clock, minChallengeMs = 0 } = this.parts;
    const view = await settlement.look(id, parties);
    if (view === undefined) {
      throw new PaymentError(
        'PAYMENT_CHANNEL',
        `there is no channel ${id} between us: open it first`,
      );
    }
    if (settlement.kind === 'evm' && view.challengeMs < minChallengeMs) {
      throw new PaymentError(
        'PAYMENT_CHANNEL',
        `a channel to this node has a challenge period of at least ${minChallengeMs / 3_600_000} hours`,
      );
    }
    if (this.looked.size >= MAX_REMEMBERED) this.looked.clear();
    this.looked.set(id, clock.now());
    return (await this.note(peer, id, view))!;
  }

  private note(
    peer: string,
    id: string,
    view: ChannelView | undefined,
  ): Promise<Channel | undefined> {
    const { settlement, clock } = this.parts;
    return this.book.changeChannel(peer, id, (known) => {
      // A reorganisation took it away: nothing in it is good until it is back.
      if (view === undefined) return known && { ...known, deposit: 0n, settled: 0n, state: 'open' };
      const state = view.closed ? 'closed' : view.closesAt !== null ? 'closing' : 'open';
      const fresh: Channel = {
        id,
        peer,
        settlement: settlement.kind,
        currency: settlement.currency,
        descriptor: settlement.describe(id),
        salt: '',
        state,
        deposit: view.deposit,
        wanted: null,
        settled: view.settled,
        voucher: null,
        closesAt: view.closesAt,
        opened: clock.now(),
      };
      if (known === undefined) return fresh;
      const { deposit, closesAt } = view;
      const settled = settlement.kind === 'ledger' ? known.settled : view.settled;
      return { ...known, state, deposit, settled, closesAt };
    });
  }
}

const standingKey = (peer: string, currency: string) => `${peer}/${currency}`;

function exceeds({ deposit }: Channel, amount: bigint): boolean {
  return deposit !== null && amount > deposit;
}

function redeemable(channel: Channel, view: ChannelView): bigint {
  if (view.closed || view.latestDeposit === null) return 0n;
  const promised = promisedIn(channel);
  const good = promised < view.latestDeposit ? promised : view.latestDeposit;
  return good > view.settled ? good - view.settled : 0n;
}
