import { type Logger, messageOf } from '@granary/kad';
import type { Contract, PaymentTerms, Receipt, ReceiptBody, Renewal } from '@granary/protocol';
import { type Account, type Payer, type PaymentResult, isFree, owed } from '@granary/payments';
import type { TransferMeter } from './farmer-connection.js';
import type { FarmerDirectory } from './farmer-directory.js';
import type { FarmerRecord } from './records.js';

/** Payments of one round of care; whole units as decimal text. */
export interface PaymentReport {
  readonly paid: readonly {
    readonly farmer: string;
    readonly currency: string;
    readonly amount: string;
  }[];
  /** Claims of farmers that our own count does not bear out. */
  readonly disputed: readonly {
    readonly farmer: string;
    readonly currency: string;
    readonly amount: string;
  }[];
  /** Farmers that take their vouchers when the chain has confirmed our deposit; they go out again. */
  readonly waiting: readonly { readonly farmer: string }[];
  readonly failures: readonly { readonly farmer: string; readonly reason: string }[];
}

/** How a renter pays when a farmer did not say how it is paid. */
const LEDGER: PaymentTerms = { settlement: 'ledger', contract: null, creditLimit: '0' };
/** Farmers paid at one time. */
const PARALLEL = 8;
/** A farmer is paid when it is owed this part of the credit that it gives. */
const CREDIT_SHARE = 4n;

/** Whether a farmer waits for the chain: we top up before we promise, so that it is a matter of time. */
function isUnconfirmed(error: unknown): boolean {
  return (error as { remoteCode?: unknown }).remoteCode === 'PAYMENT_DEPOSIT';
}

/**
 * What a renter owes and pays: counts what transfers, audits and renewals cost, and pays as it goes. What
 * has to be written down on the way of a transfer does not hold the transfer up.
 */
export class RenterPayments implements TransferMeter {
  private readonly writing = new Set<Promise<unknown>>();
  /** Farmers that something was written down of, in this turn. */
  private readonly moved = new Set<string>();
  private readonly closing = new AbortController();

  constructor(
    readonly payer: Payer,
    private readonly directory: FarmerDirectory,
    private readonly logger: Logger,
  ) {}

  /** Whether a farmer can be used: it is for free, or this renter can pay it and has the money. */
  canUse({ terms }: FarmerRecord): boolean {
    if (isFree(terms)) return true;
    return this.payer.canPay(terms) && this.payer.budgetLeft(terms.currency) !== 0n;
  }

  receipt(farmer: string, receipt: Receipt, contract?: Contract): void {
    this.write(async () => {
      await this.payer.moved(farmer, receipt.body, contract?.terms);
      // Receipts are written together: one look for all of them is enough.
      if (this.moved.size === 0) queueMicrotask(() => this.payMoved());
      this.moved.add(farmer);
    });
  }

  broken(farmer: string, body: ReceiptBody): void {
    this.write(() => this.payer.brokeOff(farmer, body));
  }

  /** A farmer passed an audit. See {@link Payer.audited}. */
  async audited(farmer: string, time: number, only?: string): Promise<void> {
    await this.payer.audited(farmer, time, only);
    await this.payIfDue(farmer);
  }

  /** A farmer has not got a shard: nothing more is paid for it. */
  failed(farmer: string, contract: string): Promise<void> {
    return this.payer.failed(farmer, contract);
  }

  renewed(farmer: string, renewal: Renewal): Promise<void> {
    return this.payer.renewed(farmer, renewal);
  }

  /** Everything that transfers had written down is on the disk. */
  async flush(): Promise<void> {
    while (this.writing.size > 0) {
      await this.payer.flush().catch(() => undefined); // whoever waits for it is told
      await Promise.allSettled(this.writing);
    }
  }

  /**
   * Pay one farmer all that is due.
   *
   * @param ahead - units to pay ahead, within the limit for that
   * @throws PaymentError, KadError.
   */
  async settle(farmer: string, signal: AbortSignal, ahead = 0n): Promise<PaymentResult[]> {
    await this.flush();
    const record = await this.directory.record(farmer);
    const results: PaymentResult[] = [];
    for (const { peerKey, currency } of [...this.payer.book.accountsWith(farmer)]) {
      const terms = record?.terms.currency === currency ? record.terms.payment : LEDGER;
      const peer = { nodeId: farmer, publicKey: peerKey };
      results.push(await this.payer.settle(peer, currency, terms, signal, ahead));
    }
    return results;
  }

  /** Pay every farmer. One that can't be paid now is paid the next time. */
  async settleAll(signal: AbortSignal): Promise<PaymentReport> {
    await this.flush();
    const paid: { farmer: string; currency: string; amount: string }[] = [];
    const disputed: { farmer: string; currency: string; amount: string }[] = [];
    const waiting: { farmer: string }[] = [];
    const failures: { farmer: string; reason: string }[] = [];
    const queue = [...new Set([...this.payer.book.accounts()].map(({ peer }) => peer))];
    const work = async () => {
      for (let farmer = queue.pop(); farmer !== undefined; farmer = queue.pop()) {
        signal.throwIfAborted();
        try {
          for (const result of await this.settle(farmer, signal)) {
            const { currency } = result;
            if (result.paid > 0n) paid.push({ farmer, currency, amount: String(result.paid) });
            if (result.disputed > 0n) {
              disputed.push({ farmer, currency, amount: String(result.disputed) });
            }
          }
        } catch (error) {
          signal.throwIfAborted();
          if (isUnconfirmed(error)) waiting.push({ farmer });
          else failures.push({ farmer, reason: messageOf(error) });
        }
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    return { paid, disputed, waiting, failures };
  }

  async close(): Promise<void> {
    this.closing.abort(new Error('the renter was closed'));
    await this.flush();
    await this.payer.close();
  }

  /** Pay in the background when a farmer is owed a good part of the credit that it gives. */
  private async payIfDue(farmer: string): Promise<void> {
    const terms = (await this.directory.record(farmer))?.terms;
    if (terms === undefined || this.closing.signal.aborted) return;
    const account = this.payer.book.account(farmer, terms.currency);
    if (account === undefined) return;
    if (this.dueOf(account) * CREDIT_SHARE < BigInt(terms.payment.creditLimit)) return;
    if (this.dueOf(account) <= 0n) return;
    const peer = { nodeId: farmer, publicKey: account.peerKey };
    const { signal } = this.closing;
    this.write(() => this.payer.settle(peer, terms.currency, terms.payment, signal));
  }

  private payMoved(): void {
    for (const farmer of this.moved) this.write(() => this.payIfDue(farmer));
    this.moved.clear();
  }

  private dueOf(account: Account): bigint {
    return owed(account) - this.payer.book.promised(account.peer, account.currency);
  }

  private write(work: () => Promise<unknown>): void {
    const task: Promise<unknown> = work()
      .catch((error: unknown) => {
        if (this.closing.signal.aborted) return;
        this.logger.warn({ error: messageOf(error) }, 'a payment was not made');
      })
      .finally(() => this.writing.delete(task));
    this.writing.add(task);
  }
}
