import { type Clock, type Identity, type Logger, messageOf } from '@granary/kad';
import {
  type PaymentTerms,
  type SignedTunnelReceipt,
  parsePaymentTerms,
  parseTunnelBill,
  parseTunnelReceipt,
  signTunnelReceipt,
  toHex,
} from '@granary/protocol';
import { PaymentError } from './errors.js';
import type { Payer } from './payer.js';

/** What {@link TunnelSpending} is made of. */
export interface TunnelSpendingParts {
  readonly identity: Identity;
  readonly payer: Payer;
  /** The most that is paid for a GB, both ways together, in units of `currency`. */
  readonly maxPrice: bigint;
  /** The one currency that tunnels are paid in. */
  readonly currency: string;
  /** How, when a tunnel did not say so in this run. */
  readonly payment: PaymentTerms;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Between two looks whether something is due, in milliseconds. Default 10 minutes. */
  readonly payMs?: number;
}

/** A node that is a tunnel, proved by its certificate. */
interface Tunnel {
  readonly nodeId: string;
  /** Compressed, 66 hex digits. */
  readonly publicKey: string;
}

/** What a tunnel asks for. */
interface Price {
  readonly price: string;
  readonly currency: string;
  /** {@link PaymentTerms}. */
  readonly payment: unknown;
}

interface Carried {
  readonly session: string;
  readonly bytes: number;
}

/** A tunnel is paid when it is owed this part of the credit that it gives. */
const CREDIT_SHARE = 4n;
const PAY_MS = 600_000;
/** Tunnels that are paid at the same time, when all are. */
const AT_ONCE = 4;
/** A payment that failed is tried again after this, and a tunnel is paid no more often when it asks. */
const RETRY_MS = 10_000;
const ASKED_MS = 1_000;
/** A tunnel that was not used in this run is tried so often again, each time after twice as long: 10 min. */
const MAX_RETRIES = 6;

/**
 * How the client of tunnels pays: it signs for what it has counted itself, and pays as it is owed. Fits the
 * purse of the `nat` package.
 */
export class TunnelSpending {
  /** Sessions that something was signed for. */
  private readonly signed = new Set<string>();
  private readonly terms = new Map<string, PaymentTerms>();
  private readonly retries = new Map<string, unknown>();
  /** How often in turn each of those was not paid that were not used in this run. */
  private readonly failures = new Map<string, number>();
  private readonly paying = new Set<string>();
  /** Those of them that were to be paid once more meanwhile. */
  private readonly more = new Set<string>();
  private readonly asked = new Map<string, number>();
  private readonly writing = new Set<Promise<unknown>>();
  private readonly closing = new AbortController();
  private timer: unknown;

  constructor(private readonly parts: TunnelSpendingParts) {}

  /** Pay what a crash has left unpaid, and then from time to time. */
  start(): void {
    const { clock, payMs = PAY_MS } = this.parts;
    // Of the last voucher before a crash it is not known whether it has arrived.
    this.write(() => this.payAll(this.closing.signal, true));
    const again = () => {
      this.write(() => this.payAll(this.closing.signal));
      this.timer = clock.setTimeout(again, payMs);
    };
    this.timer = clock.setTimeout(again, payMs);
  }

  /** Whether a tunnel costs no more than this node pays, and can be paid. */
  affords({ price, currency, payment }: Price): boolean {
    const { payer, maxPrice } = this.parts;
    if (currency !== this.parts.currency || BigInt(price) > maxPrice) return false;
    if (payer.budgetLeft(currency) === 0n) return false;
    try {
      const terms = parsePaymentTerms(payment);
      return payer.canPay({ currency, storagePrice: '0', egressPrice: price, payment: terms });
    } catch {
      return false;
    }
  }

  /**
   * Sign for what a tunnel has carried: what it says, or what was counted here if that is less. On the
   * disk before it is handed out.
   *
   * @param own - what was counted here in the session that is open
   * @returns undefined when there is nothing to sign for
   * @throws ProtocolError, PaymentError PAYMENT_DISPUTED when the bill is not what was agreed.
   */
  sign(
    tunnel: Tunnel,
    agreed: Price,
    value: unknown,
    own: Carried,
  ): Promise<SignedTunnelReceipt | undefined> {
    return this.track(() => this.signAlone(tunnel, agreed, value, own));
  }

  /** A tunnel has countersigned: keep it as proof, and pay when enough is due. */
  noted(tunnel: Tunnel, value: unknown): Promise<void> {
    return this.track(() => this.keep(tunnel, value));
  }

  /** A tunnel carries no more before it is paid. */
  held({ nodeId }: Tunnel): void {
    const { clock } = this.parts;
    const now = clock.now();
    if (now - (this.asked.get(nodeId) ?? -Infinity) < ASKED_MS) return;
    if (this.asked.size >= 256) this.asked.clear();
    this.asked.set(nodeId, now);
    this.pay(nodeId);
  }

  /** A session is over: what was counted in it is kept, so that it can still be signed for. */
  ended({ nodeId }: Tunnel, { price, currency }: Price, { session, bytes }: Carried): void {
    const { payer } = this.parts;
    this.write(async () => {
      const forgotten =
        this.signed.delete(session) && payer.book.tunnel(nodeId, session) === undefined;
      if (bytes === 0 || forgotten) return;
      await payer.book.noteCarried(nodeId, { session, bytes, price, currency });
    });
  }

  /**
   * Pay every tunnel what is due. One that can't be paid now is paid later.
   *
   * @param all - send the last voucher again where nothing is due
   */
  async payAll(signal: AbortSignal, all = false): Promise<void> {
    const { payer, currency } = this.parts;
    const accounts = [...payer.book.accounts()].filter((one) => one.currency === currency).values();
    const work = async () => {
      for (const { peer } of accounts) {
        if (signal.aborted) return;
        if (all || payer.due(peer, currency) > 0n) await this.settle(peer, signal);
      }
    };
    // Those that are gone must not keep the others waiting.
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  /** Everything that it was told is on the disk. The payer stays open. */
  async close(): Promise<void> {
    const { clock } = this.parts;
    clock.clearTimeout(this.timer);
    this.closing.abort(new Error('the node stops'));
    for (const timer of this.retries.values()) clock.clearTimeout(timer);
    this.retries.clear();
    while (this.writing.size > 0) await Promise.allSettled(this.writing);
  }

  private async signAlone(
    tunnel: Tunnel,
    agreed: Price,
    value: unknown,
    own: Carried,
  ): Promise<SignedTunnelReceipt | undefined> {
    const { identity, payer } = this.parts;
    const { nodeId, publicKey } = tunnel;
    const { body } = parseTunnelBill(value, {
      tunnel: nodeId,
      tunnelKey: publicKey,
      client: identity.nodeId,
    });
    const { session, price, currency } = body;
    const row = payer.book.tunnel(nodeId, session);
    const isOpen = session === own.session;
    if (isOpen) {
      if (price !== agreed.price || currency !== agreed.currency) {
        throw new PaymentError(
          'PAYMENT_DISPUTED',
          'the tunnel bills for another price than agreed',
        );
      }
      if (row === undefined && this.signed.has(session)) {
        throw new PaymentError('PAYMENT_DISPUTED', 'this session is too old: begin another one');
      }
      this.terms.set(nodeId, parsePaymentTerms(agreed.payment));
    } else if (row === undefined || row.price !== price || row.currency !== currency) {
      // Of a session that we know nothing of: it is not our signature that could be missing.
      return undefined;
    }
    const counted = Math.max(isOpen ? own.bytes : 0, row?.carried ?? 0);
    const bytes = Math.min(body.bytes, counted);
    // What was signed before may have been lost on its way: until it is countersigned, it goes out again.
    if (bytes <= (row?.receipt?.body.bytes ?? 0)) return undefined;
    await payer.book.addTunnel(nodeId, publicKey, { session, bytes, price, currency });
    if (isOpen) this.signed.add(session);
    return signTunnelReceipt(identity, { ...body, bytes });
  }

  private async keep(tunnel: Tunnel, value: unknown): Promise<void> {
    const { identity, payer } = this.parts;
    const { nodeId, publicKey } = tunnel;
    const receipt = parseTunnelReceipt(value, {
      tunnel: nodeId,
      tunnelKey: publicKey,
      client: identity.nodeId,
      clientKey: toHex(identity.publicKey),
    });
    const { body } = receipt;
    const known = payer.book.tunnel(nodeId, body.session);
    if (known !== undefined && known.bytes >= body.bytes) {
      await payer.book.addTunnel(nodeId, publicKey, body, receipt);
    }
    const due = payer.due(nodeId, this.parts.currency);
    const credit = BigInt(this.terms.get(nodeId)?.creditLimit ?? '0');
    if (due > 0n && due * CREDIT_SHARE >= credit) this.pay(nodeId);
  }

  private pay(tunnel: string): void {
    this.write(() => this.settle(tunnel, this.closing.signal));
  }

  private async settle(tunnel: string, signal: AbortSignal): Promise<void> {
    const { payer, currency, payment, logger } = this.parts;
    const account = payer.book.account(tunnel, currency);
    if (account === undefined || signal.aborted) return;
    if (this.paying.has(tunnel)) return void this.more.add(tunnel);
    this.paying.add(tunnel);
    const party = { nodeId: tunnel, publicKey: account.peerKey };
    try {
      const terms = this.terms.get(tunnel) ?? payment;
      const { paid, disputed } = await payer.settle(party, currency, terms, signal);
      this.failures.delete(tunnel);
      if (paid > 0n) logger.info({ tunnel, paid: String(paid), currency }, 'paid a tunnel');
      if (disputed > 0n) {
        logger.warn({ tunnel, disputed: String(disputed), currency }, 'a tunnel claims too much');
      }
    } catch (error) {
      if (signal.aborted) return;
      logger.warn({ tunnel, error: messageOf(error) }, 'a tunnel was not paid');
      this.more.delete(tunnel);
      this.retry(tunnel);
    } finally {
      this.paying.delete(tunnel);
    }
    // What has become due while the voucher was on its way is not in it.
    if (this.more.delete(tunnel) && payer.due(tunnel, currency) > 0n) this.pay(tunnel);
  }

  private retry(tunnel: string): void {
    if (this.retries.has(tunnel) || this.closing.signal.aborted) return;
    let delay = RETRY_MS;
    if (!this.terms.has(tunnel)) {
      // It may be gone for ever, or have been killed together with this node.
      const failures = this.failures.get(tunnel) ?? 0;
      if (failures === MAX_RETRIES) return;
      this.failures.set(tunnel, failures + 1);
      delay *= 2 ** failures;
    }
    const again = () => {
      this.retries.delete(tunnel);
      this.pay(tunnel);
    };
    this.retries.set(tunnel, this.parts.clock.setTimeout(again, delay));
  }

  private write(work: () => Promise<unknown>): void {
    const { logger } = this.parts;
    this.track(work).catch((error: unknown) => {
      if (this.closing.signal.aborted) return;
      logger.error({ error: messageOf(error) }, 'what a tunnel costs was not written down');
    });
  }

  /** Do something that has to be done before the book is closed. */
  private async track<T>(work: () => Promise<T>): Promise<T> {
    this.closing.signal.throwIfAborted();
    const task = work();
    this.writing.add(task);
    try {
      return await task;
    } finally {
      this.writing.delete(task);
    }
  }
}
