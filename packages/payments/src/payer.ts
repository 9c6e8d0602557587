import { type Clock, type Identity, type Logger, type Random, messageOf } from '@granary/kad';
import {
  ACCOUNT_METHOD,
  type Contract,
  type ContractTerms,
  PAY_METHOD,
  type PaymentClaim,
  type PaymentTerms,
  ProtocolError,
  RECEIPT_PAGE,
  type ReceiptBody,
  type Renewal,
  STATEMENT_METHOD,
  type Statement,
  checkCountersignature,
  checkVoucher,
  parseAccountAnswer,
  parseAnyReceipt,
  parseClaim,
  parseReadGrant,
  parseReceiptBody,
  parseStatement,
  parseTunnelReceipt,
  parseVoucher,
  payRequest,
  proposeStatement,
  signReceiptBody,
  signVoucher,
  toHex,
} from '@granary/protocol';
import { owed } from './account.js';
import { type Channel, promisedIn } from './channel.js';
import { payable } from './credit.js';
import { PaymentError } from './errors.js';
import { isFree } from './free-terms.js';
import type { BookStep, PaymentBook } from './payment-book.js';
import type { ChannelParties, Settlement } from './settlement.js';
import { StepQueue } from './step-queue.js';

/** What a node is willing to pay. Amounts in whole units. */
export interface PayerLimits {
  /** The most that is promised to all farmers in 30 days; null for no limit. */
  readonly budget: bigint | null;
  /** The most that is accepted on one farmer's word, in all the time. */
  readonly trust: bigint;
  /** The most that is paid to one farmer ahead, when it gives no credit. */
  readonly advance: bigint;
  /** What a new channel is opened with, and a channel topped up by, at least. */
  readonly deposit: bigint;
}

/** The limits of a node that was told nothing else: it pays for what it got, and for nothing else. */
export const defaultPayerLimits: PayerLimits = {
  budget: null,
  trust: 0n,
  advance: 0n,
  deposit: 1_000_000n,
};

/** What a {@link Payer} is made of. */
export interface PayerParts {
  readonly identity: Identity;
  readonly book: PaymentBook;
  /** One for each currency that it can pay in, or makes one for the ledger. */
  readonly settlementFor: (currency: string, terms: PaymentTerms) => Settlement | undefined;
  /** Ask a node by signed RPC. */
  readonly call: (
    peer: string,
    method: string,
    params: unknown,
    signal: AbortSignal,
  ) => Promise<unknown>;
  /** A contract that this node is the renter of, and its last renewal. */
  readonly contractOf: (
    hash: string,
  ) => Promise<{ contract: Contract; renewal?: Renewal } | undefined>;
  readonly limits: PayerLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** How paying one farmer went. Whole units. */
export interface PaymentResult {
  readonly peer: string;
  readonly currency: string;
  /** Promised now, since they met. */
  readonly promised: bigint;
  /** Promised by this call. */
  readonly paid: bigint;
  /** Claimed by the farmer and not accepted. */
  readonly disputed: bigint;
  readonly claim: PaymentClaim;
}

const MONTH_MS = 30 * 24 * 3600 * 1000;
const MAX_PAGES = 1_000;
/**
 * How old receipts are that are taken over from the other side, in milliseconds: less than the book
 * remembers those that it has counted.
 */
const ADOPTED_MS = 150 * 24 * 3600 * 1000;

/** The side that pays: keeps its own count, checks claims against it, signs vouchers. */
export class Payer {
  private readonly paying = new Map<string, Promise<PaymentResult>>();
  private readonly steps: StepQueue;

  constructor(private readonly parts: PayerParts) {
    this.steps = new StepQueue(parts.book, parts.clock);
  }

  /** The book of what this node owes. */
  get book(): PaymentBook {
    return this.parts.book;
  }

  /** Whether this node can pay a farmer with these terms. */
  canPay(terms: {
    currency: string;
    storagePrice: string;
    egressPrice: string;
    payment: PaymentTerms;
  }): boolean {
    if (isFree(terms)) return true;
    return this.parts.settlementFor(terms.currency, terms.payment) !== undefined;
  }

  /** What may still be promised in the 30 days up to now; null for no limit. */
  budgetLeft(currency: string): bigint | null {
    const { limits, clock } = this.parts;
    if (limits.budget === null) return null;
    const left = limits.budget - this.book.promisedSince(clock.now() - MONTH_MS, currency);
    return left > 0n ? left : 0n;
  }

  /**
   * A receipt was countersigned: a shard is stored, read, or deleted. On the disk when the promise
   * resolves, which may take a moment; {@link Payer.flush} hastens it. What a crash takes away in
   * between, the farmer proves by our signature.
   *
   * @param terms - the contract's, when the shard is new
   */
  async moved(farmer: string, body: ReceiptBody, terms?: ContractTerms): Promise<void> {
    const { contract, direction, time } = body;
    await this.steps.add({
      peer: farmer,
      ...(direction === 'upload' &&
        terms !== undefined && { open: { side: 'farmer', contract, terms, since: time } }),
      receipt: body,
      ...(direction === 'delete' && { ended: { contract, why: 'deleted' } }),
    });
  }

  /** Write down now what {@link Payer.moved} was told. */
  flush(): Promise<void> {
    return this.steps.flush();
  }

  /** A download broke off after some bytes. */
  async brokeOff(farmer: string, body: ReceiptBody): Promise<void> {
    await this.steps.flush();
    if (body.bytes > 0) await this.book.addPending(farmer, body);
  }

  /**
   * A farmer passed an audit.
   *
   * @param time - that its answer bears; no later than now is believed
   * @param only - the one contract that this is good for, when the farmer is under suspicion
   */
  async audited(farmer: string, time: number, only?: string): Promise<void> {
    await this.steps.flush();
    await this.book.accrue(farmer, Math.min(time, this.parts.clock.now()), only);
  }

  /** A farmer has not got a shard: nothing is paid for it from its last passed audit on. */
  async failed(farmer: string, contract: string): Promise<void> {
    await this.steps.flush();
    await this.book.end(farmer, contract, 'failed');
  }

  /** A contract was renewed. */
  async renewed(farmer: string, { body }: Renewal): Promise<void> {
    await this.steps.flush();
    await this.book.extend(farmer, body.contract, {
      until: body.end,
      storagePrice: BigInt(body.storagePrice),
      egressPrice: BigInt(body.egressPrice),
    });
  }

  /** Units owed by our own book and not promised yet. */
  due(farmer: string, currency: string): bigint {
    const account = this.book.account(farmer, currency);
    if (account === undefined) return 0n;
    return owed(account) - this.book.promised(farmer, currency);
  }

  /**
   * Pay a farmer: compare its claim with our own book, accept what it can prove by our own signatures,
   * and promise what both agree on. Calls at one time share one payment.
   *
   * @param ahead - units to pay ahead, within the limit for that
   * @throws PaymentError; KadError when the farmer can't be reached.
   */
  settle(
    farmer: { nodeId: string; publicKey: string },
    currency: string,
    terms: PaymentTerms,
    signal: AbortSignal,
    ahead = 0n,
  ): Promise<PaymentResult> {
    const key = `${farmer.nodeId}/${currency}`;
    const running = this.paying.get(key);
    if (running !== undefined && ahead === 0n) return running;
    const result = (running ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => this.settleAlone(farmer, currency, terms, signal, ahead))
      .finally(() => {
        if (this.paying.get(key) === result) this.paying.delete(key);
      });
    this.paying.set(key, result);
    return result;
  }

  /** Have a farmer sign a statement of account. @throws PaymentError PAYMENT_DISPUTED and others. */
  async statement(
    farmer: { nodeId: string; publicKey: string },
    currency: string,
    signal: AbortSignal,
  ): Promise<Statement> {
    const { identity, call, clock } = this.parts;
    await this.steps.flush();
    const claim = await this.askClaim(farmer, currency, signal);
    const promised = this.book.promised(farmer.nodeId, currency);
    if (claim.body.promised !== promised.toString()) {
      throw new PaymentError(
        'PAYMENT_DISPUTED',
        `we have promised ${promised}; the farmer has vouchers for ${claim.body.promised}`,
      );
    }
    if (BigInt(claim.body.settled) > promised) {
      throw new PaymentError(
        'PAYMENT_DISPUTED',
        'the farmer claims more to be settled than promised',
      );
    }
    const proposal = proposeStatement(identity, {
      renter: identity.nodeId,
      farmer: farmer.nodeId,
      currency,
      promised: promised.toString(),
      // What the farmer admits to have received is good for us.
      settled: claim.body.settled,
      time: clock.now(),
    });
    const answer = await call(farmer.nodeId, STATEMENT_METHOD, proposal, signal);
    const statement = parseStatement(answer, {
      renterKey: toHex(identity.publicKey),
      farmerKey: farmer.publicKey,
    });
    if (JSON.stringify(statement.body) !== JSON.stringify(proposal.body)) {
      throw new PaymentError('PAYMENT_DISPUTED', 'the farmer signed another statement');
    }
    await this.book.putStatement(farmer.nodeId, clock.now(), statement);
    await this.noteSettled(farmer.nodeId, currency, BigInt(claim.body.settled));
    return statement;
  }

  /**
   * The channel that pays a farmer, good for a sum since they met: found, or opened, or topped up.
   * Every step is written down before it is taken, and taken up again after a crash.
   *
   * @throws PaymentError PAYMENT_FUNDS, PAYMENT_CHAIN, PAYMENT_CHAIN_UNREACHABLE.
   */
  async ensureChannel(
    farmer: { nodeId: string; publicKey: string },
    settlement: Settlement,
    promisedSum: bigint,
  ): Promise<Channel> {
    const { clock, random, limits } = this.parts;
    const { currency } = settlement;
    const parties = this.partiesOf(farmer, currency);
    const usable = () =>
      this.book
        .channelsWith(farmer.nodeId, currency)
        .filter(
          ({ state, descriptor, id }) =>
            (state === 'open' || state === 'opening') && descriptor === settlement.describe(id),
        )
        .at(-1);
    let channel = usable();
    const all = this.book.channelsWith(farmer.nodeId, currency);
    const elsewhere = all.reduce(
      (sum, one) => sum + (one.id === channel?.id ? 0n : promisedIn(one)),
      0n,
    );
    const need = promisedSum - elsewhere;
    const bounded = settlement.kind === 'evm';
    if (channel === undefined) {
      const salt = toHex(random(32));
      const id = settlement.channelId(parties, salt);
      const first = bounded ? max(need, limits.deposit) : null;
      await this.book.changeChannel(farmer.nodeId, id, (known) => {
        // Another process of ours may have been quicker: one channel is enough.
        if (usable() !== undefined) return undefined;
        if (known !== undefined) return { ...known, state: 'opening' };
        return {
          id,
          peer: farmer.nodeId,
          settlement: settlement.kind,
          currency,
          descriptor: settlement.describe(id),
          salt,
          state: 'opening',
          deposit: bounded ? 0n : null,
          wanted: first,
          settled: 0n,
          voucher: null,
          closesAt: null,
          opened: clock.now(),
        };
      });
      channel = usable();
    }
    let current = channel!;
    if (bounded && current.state === 'open' && current.deposit! < need) {
      const wanted = max(need, current.deposit! + limits.deposit);
      current = (await this.book.changeChannel(farmer.nodeId, current.id, (known) => ({
        ...known!,
        wanted,
      })))!;
    }
    if (current.state === 'opening' || current.wanted !== null) {
      await this.finish(current, settlement, parties);
      current = this.book.channel(farmer.nodeId, current.id)!;
    }
    return current;
  }

  /**
   * Ask for what is left in a channel: the challenge period begins. {@link Payer.withdraw} ends it.
   *
   * @throws PaymentError PAYMENT_CHANNEL and the settlement's.
   */
  async requestClose(channel: Channel, settlement: Settlement): Promise<Channel> {
    // Written down first: nothing is to be promised in it any more.
    await this.change(channel, (known) => ({ ...known, state: 'closing' }));
    await settlement.requestClose(channel.id);
    return this.look(channel, settlement);
  }

  /** Take back what is left, when the challenge period is over. */
  async withdraw(channel: Channel, settlement: Settlement): Promise<Channel> {
    await settlement.withdraw(channel.id);
    return this.look(channel, settlement);
  }

  /** Ask the settlement how a channel stands, and write it down. */
  async look(channel: Channel, settlement: Settlement): Promise<Channel> {
    const account = this.book.account(channel.peer, channel.currency);
    if (settlement.kind === 'ledger' || account === undefined) return channel;
    const peer = { nodeId: channel.peer, publicKey: account.peerKey };
    const view = await settlement.look(channel.id, this.partiesOf(peer, channel.currency));
    return this.change(channel, (known) => {
      // A reorganisation took it away: it is opened again, with the salt and the ID that it had.
      if (view === undefined) {
        return { ...known, state: 'opening', wanted: known.wanted ?? known.deposit, deposit: 0n };
      }
      const state = view.closed
        ? 'closed'
        : view.closesAt !== null || known.state === 'closing'
          ? 'closing'
          : known.state;
      return {
        ...known,
        state,
        deposit: view.latestDeposit,
        settled: view.settled,
        closesAt: view.closesAt,
      };
    });
  }

  async close(): Promise<void> {
    await this.steps
      .flush()
      .catch((error: unknown) =>
        this.parts.logger.error({ error: messageOf(error) }, 'receipts were not written down'),
      );
    await Promise.allSettled(this.paying.values());
    await this.book.close();
  }

  private async settleAlone(
    farmer: { nodeId: string; publicKey: string },
    currency: string,
    terms: PaymentTerms,
    signal: AbortSignal,
    ahead: bigint,
  ): Promise<PaymentResult> {
    const { identity, limits, call, settlementFor, logger } = this.parts;
    const peer = farmer.nodeId;
    await this.steps.flush();
    await this.book.begin(peer, farmer.publicKey, currency);
    const claim = await this.askClaim(farmer, currency, signal);
    if (BigInt(claim.body.tunnel) > this.book.account(peer, currency)!.tunnel) {
      await this.adoptTunnels(farmer, currency, signal);
    }
    const account = this.book.account(peer, currency)!;
    const before = this.book.promised(peer, currency);
    const claimed = BigInt(claim.body.claimed);
    const trust = limits.trust - account.conceded;
    let { sum, conceded } = payable({
      owed: owed(account),
      claimed,
      promised: before,
      trust: trust > 0n ? trust : 0n,
      advance: ahead < limits.advance ? ahead : limits.advance,
    });
    const left = this.budgetLeft(currency);
    if (left !== null && sum - before > left) {
      logger.warn(
        { farmer: peer, due: String(sum - before), left: String(left) },
        'over the budget',
      );
      sum = before + left;
      conceded = 0n;
    }
    if (sum > before) {
      const settlement = settlementFor(currency, terms);
      if (settlement === undefined) {
        throw new PaymentError('PAYMENT_CURRENCY', `this node can't pay in ${currency}`);
      }
      if (conceded > 0n) {
        logger.info(
          { farmer: peer, units: String(conceded) },
          'accepted on the word of the farmer',
        );
        await this.book.concede(peer, currency, conceded);
      }
      const channel = await this.ensureChannel(farmer, settlement, sum);
      const inChannel = sum - (before - promisedIn(channel));
      const signed = signVoucher(identity, settlement.domain, channel.id, inChannel);
      // On our disk before it leaves: what is promised is never forgotten, nor promised again.
      await this.book.keepVoucher(peer, signed);
    }
    // The last voucher of every channel goes out until the farmer has it, whatever crashed before.
    for (const channel of this.book.channelsWith(peer, currency)) {
      if (channel.voucher === null || channel.state === 'closed') continue;
      if (BigInt(claim.body.promised) >= this.book.promised(peer, currency)) break;
      const request = payRequest(currency, channel.descriptor, channel.voucher);
      try {
        await call(peer, PAY_METHOD, request, signal);
      } catch (error) {
        await this.reopen(farmer, channel, terms, error);
        throw error;
      }
    }
    const promised = this.book.promised(peer, currency);
    const confirmed = owed(this.book.account(peer, currency)!);
    return {
      peer,
      currency,
      promised,
      paid: promised - before,
      disputed: claimed > confirmed ? claimed - confirmed : 0n,
      claim,
    };
  }

  /** A farmer does not find a channel: a reorganisation may have taken it away. Then make it again. */
  private async reopen(
    farmer: { nodeId: string; publicKey: string },
    channel: Channel,
    terms: PaymentTerms,
    error: unknown,
  ): Promise<void> {
    const { code, remoteCode } = error as { code?: unknown; remoteCode?: unknown };
    const settlement = this.parts.settlementFor(channel.currency, terms);
    const missing = ['PAYMENT_CHANNEL', 'PAYMENT_DEPOSIT'].includes(String(remoteCode ?? code));
    if (!missing || settlement?.kind !== 'evm') return;
    const seen = await this.look(channel, settlement);
    if (seen.state !== 'opening') return;
    const promised = this.book.promised(channel.peer, channel.currency);
    await this.ensureChannel(farmer, settlement, promised);
  }

  /** Ask for a farmer's claim, and take over what it proves by our own signatures. */
  private async askClaim(
    farmer: { nodeId: string; publicKey: string },
    currency: string,
    signal: AbortSignal,
  ): Promise<PaymentClaim> {
    const { identity, call } = this.parts;
    const us = { nodeId: identity.nodeId, publicKey: toHex(identity.publicKey) };
    let signed: { body: ReceiptBody; signature: string }[] = [];
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const after = this.book.account(farmer.nodeId, currency)?.receipts ?? 0;
      const answer = parseAccountAnswer(
        await call(farmer.nodeId, ACCOUNT_METHOD, { currency, after, signed }, signal),
      );
      const claim = parseClaim(answer.claim, {
        renter: us.nodeId,
        farmer: farmer.nodeId,
        farmerKey: farmer.publicKey,
        currency,
      });
      const steps: BookStep[] = [];
      for (const { receipt: document, renterSignature } of answer.receipts) {
        const receipt = parseAnyReceipt(document, farmer);
        checkCountersignature(receipt, us, renterSignature);
        if (this.isForgotten(receipt.body.time)) continue;
        await this.adoptPosition(farmer.nodeId, receipt.body);
        steps.push({ peer: farmer.nodeId, receipt: receipt.body });
      }
      await this.book.record(steps);
      const last = answer.receipts.at(-1);
      if (last !== undefined) {
        await this.book.sawReceipts(farmer.nodeId, currency, last.number);
      }
      await this.adoptVouchers(farmer, currency, answer.vouchers);
      signed = answer.pending.flatMap((value) => this.signPending(farmer.nodeId, value));
      for (const shared of answer.shared ?? []) {
        const body = await this.adoptShared(farmer.nodeId, shared);
        if (body !== undefined) {
          signed.push({ body, signature: signReceiptBody(identity, body) });
        }
      }
      signed = signed.slice(0, RECEIPT_PAGE);
      if (answer.receipts.length < RECEIPT_PAGE && signed.length === 0) return claim;
    }
    throw new PaymentError('PAYMENT_DISPUTED', 'the farmer has no end of receipts');
  }

  /** Whether it may have been counted so long ago that the book has forgotten it. */
  private isForgotten(time: number): boolean {
    return time < this.parts.clock.now() - ADOPTED_MS;
  }

  /** Take over receipts of tunnel sessions that we have signed and know nothing of: our book was lost. */
  private async adoptTunnels(
    farmer: { nodeId: string; publicKey: string },
    currency: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { identity, call } = this.parts;
    const parties = {
      tunnel: farmer.nodeId,
      tunnelKey: farmer.publicKey,
      client: identity.nodeId,
      clientKey: toHex(identity.publicKey),
    };
    let tunnels = '';
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const after = this.book.account(farmer.nodeId, currency)?.receipts ?? 0;
      const request = { currency, after, signed: [], tunnels };
      const answer = parseAccountAnswer(await call(farmer.nodeId, ACCOUNT_METHOD, request, signal));
      const found = answer.tunnels ?? [];
      for (const value of found) {
        const receipt = parseTunnelReceipt(value, parties);
        const { body } = receipt;
        if (body.session <= tunnels) {
          throw new PaymentError('PAYMENT_DISPUTED', 'the receipts of a tunnel are out of order');
        }
        tunnels = body.session;
        if (body.currency !== currency || this.isForgotten(body.time)) continue;
        await this.book.addTunnel(farmer.nodeId, farmer.publicKey, body, receipt);
      }
      if (found.length < RECEIPT_PAGE) return;
    }
  }

  /** Sign for a download that broke off: for the bytes that came here, not for what was sent. */
  private signPending(farmer: string, value: unknown): { body: ReceiptBody; signature: string }[] {
    const theirs = parseReceiptBody(value);
    const ours = this.book.pendingOne(farmer, theirs.token)?.body;
    if (
      ours === undefined ||
      ours.contract !== theirs.contract ||
      theirs.direction !== 'download'
    ) {
      return [];
    }
    const body = { ...theirs, bytes: Math.min(ours.bytes, theirs.bytes) };
    return [{ body, signature: signReceiptBody(this.parts.identity, body) }];
  }

  /**
   * What somebody has read by our leave: it bears the reader's signature, and the grant ours. We pay
   * for it as if we had read it ourselves, up to the limit of the grant.
   */
  private async adoptShared(
    farmer: string,
    shared: { body?: unknown; grant?: unknown; readerSignature: string },
  ): Promise<ReceiptBody | undefined> {
    const { identity, logger } = this.parts;
    try {
      const body = parseReceiptBody(shared.body);
      const grant = parseReadGrant(shared.grant, {
        renter: { renter: identity.nodeId, renterKey: toHex(identity.publicKey) },
        contract: body.contract,
      });
      const { reader, readerKey, expires } = grant.body;
      if (body.direction !== 'download' || body.time >= expires) return undefined;
      checkCountersignature(
        { body, farmerSignature: '' },
        { nodeId: reader, publicKey: readerKey },
        shared.readerSignature,
      );
      return (await this.book.adoptShared(farmer, body, grant.body)) ? body : undefined;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      logger.warn({ farmer, error: messageOf(error) }, 'a share was claimed that is none');
      return undefined;
    }
  }

  /** A contract that we have signed to be stored and have no position of: our book was lost. */
  private async adoptPosition(farmer: string, { contract, direction, time }: ReceiptBody) {
    if (direction !== 'upload' || this.book.position(farmer, contract) !== undefined) return;
    const known = await this.parts.contractOf(contract);
    if (known === undefined || known.contract.terms.farmer !== farmer) return;
    await this.book.open('farmer', contract, known.contract.terms, time);
    if (known.renewal !== undefined) await this.renewed(farmer, known.renewal);
    // Audits that were passed before we knew of it were good for it, too.
    const { audited } = this.book.account(farmer, known.contract.terms.currency) ?? { audited: 0 };
    await this.book.accrue(farmer, audited, contract);
  }

  /** Vouchers that we have signed and know nothing of: our book was lost. */
  private async adoptVouchers(
    farmer: { nodeId: string; publicKey: string },
    currency: string,
    vouchers: readonly { channel: string; voucher: unknown }[],
  ): Promise<void> {
    const { identity, settlementFor, clock } = this.parts;
    for (const { channel: descriptor, voucher: value } of vouchers) {
      const voucher = parseVoucher(value);
      const known = this.book.channel(farmer.nodeId, voucher.channel);
      if (known !== undefined && promisedIn(known) >= BigInt(voucher.amount)) continue;
      const evm = /^eip155:\d+:(0x[0-9a-f]{40}):/.exec(descriptor);
      const settlement = settlementFor(currency, {
        settlement: evm === null ? 'ledger' : 'evm',
        contract: evm?.[1] ?? null,
        creditLimit: '0',
      });
      if (settlement?.describe(voucher.channel) !== descriptor) continue;
      checkVoucher(voucher, settlement.domain, toHex(identity.publicKey));
      const parties = this.partiesOf(farmer, currency);
      const view = await settlement.look(voucher.channel, parties);
      if (view === undefined) continue;
      await this.book.changeChannel(farmer.nodeId, voucher.channel, (row) => ({
        ...(row ?? {
          id: voucher.channel,
          peer: farmer.nodeId,
          settlement: settlement.kind,
          currency,
          descriptor,
          salt: '',
          wanted: null,
          opened: clock.now(),
        }),
        state: view.closed ? 'closed' : view.closesAt === null ? 'open' : 'closing',
        deposit: view.latestDeposit,
        settled: settlement.kind === 'ledger' ? (row?.settled ?? 0n) : view.settled,
        closesAt: view.closesAt,
        voucher,
      }));
      // What we had promised we had owed.
      const promised = this.book.promised(farmer.nodeId, currency);
      await this.book.raiseFloor(farmer.nodeId, currency, promised);
    }
  }

  /** Open a channel or raise its deposit, as it is written down; again, if it was begun before. */
  private async finish(
    channel: Channel,
    settlement: Settlement,
    parties: ChannelParties,
  ): Promise<void> {
    const wanted = channel.wanted ?? 0n;
    if (channel.state === 'opening') await settlement.open(channel.salt, parties, wanted);
    if (settlement.kind === 'evm') await settlement.topUp(channel.id, wanted);
    await this.change(channel, (known) => ({
      ...known,
      state: 'open',
      deposit: settlement.kind === 'evm' ? wanted : null,
      wanted: null,
    }));
  }

  private async change(channel: Channel, change: (known: Channel) => Channel): Promise<Channel> {
    const changed = await this.book.changeChannel(channel.peer, channel.id, (known) => {
      if (known === undefined) {
        throw new PaymentError('PAYMENT_CHANNEL', `there is no channel ${channel.id} here`);
      }
      return change(known);
    });
    return changed!;
  }

  private async noteSettled(peer: string, currency: string, settled: bigint): Promise<void> {
    const [ledger] = this.book
      .channelsWith(peer, currency)
      .filter(({ settlement }) => settlement === 'ledger');
    if (ledger === undefined || ledger.settled === settled) return;
    await this.change(ledger, (known) => ({ ...known, settled }));
  }

  private partiesOf(
    farmer: { nodeId: string; publicKey: string },
    currency: string,
  ): ChannelParties {
    const { identity } = this.parts;
    return {
      payer: { nodeId: identity.nodeId, publicKey: toHex(identity.publicKey) },
      payee: { nodeId: farmer.nodeId, publicKey: farmer.publicKey },
      currency,
    };
  }
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
