import { type Clock, type Identity, type Logger, messageOf } from '@granary/kad';
import {
  type PaymentTerms,
  type TunnelBill,
  type TunnelReceipt,
  countersignTunnelReceipt,
  parseSignedTunnelReceipt,
  signTunnelBill,
} from '@granary/protocol';
import { GIGABYTE } from './amounts.js';
import { PaymentError } from './errors.js';
import type { Payee } from './payee.js';
import type { TunnelCount } from './tunnel-row.js';

/** What {@link TunnelCharges} are made of. */
export interface TunnelChargesParts {
  readonly identity: Identity;
  readonly payee: Payee;
  /** Units for a GB carried, both ways together; more than 0. */
  readonly price: bigint;
  readonly currency: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Who uses a tunnel, proved by its certificate. */
interface Client {
  readonly nodeId: string;
  /** Compressed, 66 hex digits. */
  readonly publicKey: string;
}

/** What went through in a session, both ways, since it began. */
interface Carried {
  readonly session: string;
  readonly bytes: number;
}

/** A client is billed when it has used this part of its credit, or earlier. */
const CREDIT_SHARE = 8n;
const MEBIBYTE = 1024 * 1024;
const MAX_METER = 16 * MEBIBYTE;
/** Without room for so much no tunnel could work; with fewer units what is rounded off would use up all. */
const LEAST_BYTES = BigInt(MEBIBYTE);
const LEAST_UNITS = 4n;
/** Bills for former sessions that a client is given when it comes again. */
const MAX_OWING = 16;

/**
 * How the operator of a tunnel is paid: bills for what was carried, receipts that the client signs for
 * its own count, and credit that bounds what it can owe, signed for or not. Fits the accounts of a
 * tunnel in the `nat` package.
 */
export class TunnelCharges {
  /** Bytes after which a client is billed at the latest. */
  readonly meterBytes: number;
  /** Sessions that were billed and have not ended. */
  private readonly billed = new Set<string>();
  private readonly writing = new Set<Promise<void>>();

  /** @throws PaymentError PAYMENT_AMOUNT when the credit is too small to carry anything on. */
  constructor(private readonly parts: TunnelChargesParts) {
    const { price, payee, currency } = parts;
    const credit = BigInt(payee.terms.creditLimit);
    const worth = (credit * GIGABYTE) / price;
    if (credit < LEAST_UNITS || worth < LEAST_BYTES) {
      const least = (price * LEAST_BYTES + GIGABYTE - 1n) / GIGABYTE;
      throw new PaymentError(
        'PAYMENT_AMOUNT',
        `a tunnel for ${price} ${currency} a GB takes a credit of at least ` +
          `${least > LEAST_UNITS ? least : LEAST_UNITS}, and it is ${credit}`,
      );
    }
    const share = worth / CREDIT_SHARE;
    this.meterBytes = share < BigInt(MAX_METER) ? Number(share) : MAX_METER;
  }

  /** What it costs, and how it is paid. */
  get price(): { price: string; currency: string; payment: PaymentTerms } {
    const { price, currency, payee } = this.parts;
    return { price: price.toString(), currency, payment: payee.terms };
  }

  /** Write down what was carried, and sign a bill for it. @throws PaymentError PAYMENT_DISPUTED. */
  async bill({ nodeId }: Client, carried: Carried): Promise<TunnelBill> {
    const { payee } = this.parts;
    const { session } = carried;
    if (this.billed.has(session) && payee.book.tunnel(nodeId, session) === undefined) {
      throw new PaymentError('PAYMENT_DISPUTED', 'this session is too old: begin another one');
    }
    await payee.book.noteCarried(nodeId, this.count(carried));
    if (carried.bytes > 0) this.billed.add(session);
    return this.sign(nodeId, this.count(carried));
  }

  /** Bills for former sessions that a client has not signed in full, of the last day. */
  owing({ nodeId }: Client): TunnelBill[] {
    const { book } = this.parts.payee;
    const bills: TunnelBill[] = [];
    for (const row of book.tunnels(nodeId)) {
      if (row.carried === row.bytes || book.isForgiven(row)) continue;
      bills.push(this.sign(nodeId, { ...row, bytes: row.carried }));
      if (bills.length === MAX_OWING) break;
    }
    return bills;
  }

  /**
   * Take what a client has signed for, and countersign it. On the disk when the promise resolves.
   *
   * @throws ProtocolError when it is not its signature; PaymentError PAYMENT_DISPUTED when it is for
   * something that it was not billed for.
   */
  async receipt(client: Client, value: unknown): Promise<TunnelReceipt> {
    const { identity, payee } = this.parts;
    const { nodeId, publicKey } = client;
    const signed = parseSignedTunnelReceipt(value, {
      tunnel: identity.nodeId,
      client: nodeId,
      clientKey: publicKey,
    });
    const { session, bytes, price, currency } = signed.body;
    const row = payee.book.tunnel(nodeId, session);
    const fits = row !== undefined && row.price === price && row.currency === currency;
    if (!fits || bytes > row.carried) {
      throw new PaymentError('PAYMENT_DISPUTED', 'the receipt is for what was not billed');
    }
    const receipt = countersignTunnelReceipt(identity, signed);
    await payee.tunnelled(client, receipt);
    return receipt;
  }

  /**
   * Whether a client's credit is good for what was carried, signed for or not, and for some bytes more.
   *
   * @throws PaymentError PAYMENT_UNPAID.
   */
  check({ nodeId }: Client, { session, bytes }: Carried, next: number): void {
    const { payee, price, currency } = this.parts;
    const written = payee.book.tunnel(nodeId, session)?.carried ?? 0;
    payee.checkTunnel(nodeId, currency, price, Math.max(0, bytes - written) + next);
  }

  /** A session is over. */
  ended({ nodeId }: Client, carried: Carried): void {
    const { payee, logger } = this.parts;
    const task: Promise<void> = Promise.resolve()
      .then(() => {
        const known = payee.book.tunnel(nodeId, carried.session);
        const isNew = known === undefined && !this.billed.has(carried.session);
        if (carried.bytes === 0 || (known === undefined && !isNew)) return;
        return payee.book.noteCarried(nodeId, this.count(carried));
      })
      .catch((error: unknown) =>
        logger.error({ client: nodeId, error: messageOf(error) }, 'a session was not written down'),
      )
      .finally(() => {
        this.billed.delete(carried.session);
        this.writing.delete(task);
      });
    this.writing.add(task);
  }

  /** Everything that it was told is on the disk. */
  async flush(): Promise<void> {
    while (this.writing.size > 0) await Promise.all(this.writing);
  }

  private count({ session, bytes }: Carried): TunnelCount {
    const { price, currency } = this.parts;
    return { session, bytes, price: price.toString(), currency };
  }

  private sign(client: string, { session, bytes, price, currency }: TunnelCount): TunnelBill {
    const { identity, clock } = this.parts;
    const tunnel = identity.nodeId;
    const time = clock.now();
    return signTunnelBill(identity, { tunnel, client, session, bytes, currency, price, time });
  }
}
