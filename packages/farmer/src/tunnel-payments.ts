import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Contact, Identity, Logger, Random } from '@granary/kad';
import {
  LmdbRows,
  Payer,
  type PayerLimits,
  PaymentBook,
  type Settlement,
  TunnelSpending,
  defaultPayerLimits,
} from '@granary/payments';
import type { PaymentTerms } from '@granary/protocol';
import { FarmerError } from './errors.js';

/** What a farmer pays for tunnels that it is reached through. Amounts in the unit of its prices. */
export interface TunnelPaying {
  /** The most for a GB, both ways together. Default 0: only tunnels for nothing. */
  readonly maxPrice?: bigint;
  readonly limits?: Partial<PayerLimits>;
  /** Between two looks whether something is due, in milliseconds. */
  readonly payMs?: number;
}

/** What {@link TunnelPayments} are made of. */
export interface TunnelPaymentsParts {
  readonly directory: string;
  readonly identity: Identity;
  /** How it is paid itself, and pays. */
  readonly settlement: Settlement;
  readonly paying: TunnelPaying;
  /** Finds a node. */
  contactOf(nodeId: string, signal: AbortSignal): Promise<Contact | undefined>;
  /** Asks it by signed RPC. */
  call(contact: Contact, method: string, params: unknown, signal: AbortSignal): Promise<unknown>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The book of what a farmer owes to tunnels, in its directory: apart from that of what it is owed. */
export const COSTS_FILE = 'costs.lmdb';

/** What a farmer spends on tunnels: its own book, and who pays from it. */
export class TunnelPayments {
  private constructor(
    readonly spending: TunnelSpending,
    /** The side that pays. */
    readonly payer: Payer,
  ) {}

  /** @returns undefined when it pays nothing, and never has. */
  static open(parts: TunnelPaymentsParts): TunnelPayments | undefined {
    const { directory, identity, settlement, paying, clock, random, logger } = parts;
    const { maxPrice = 0n, limits, payMs } = paying;
    const path = join(directory, COSTS_FILE);
    if (maxPrice === 0n && !existsSync(path)) return undefined;
    const { kind, currency, domain } = settlement;
    const contract = kind === 'evm' ? domain.contract : null;
    const fits = (unit: string, terms: PaymentTerms) =>
      unit === currency && terms.settlement === kind && terms.contract === contract;
    const payer = new Payer({
      identity,
      book: new PaymentBook(LmdbRows.open(path), clock),
      settlementFor: (unit, terms) => (fits(unit, terms) ? settlement : undefined),
      contractOf: () => Promise.resolve(undefined),
      call: async (peer, method, params, signal) => {
        const contact = await parts.contactOf(peer, signal);
        if (contact === undefined) {
          throw new FarmerError('FARMER_NOT_FOUND', `the tunnel ${peer} is not found at this time`);
        }
        return parts.call(contact, method, params, signal);
      },
      limits: { ...defaultPayerLimits, ...limits },
      clock,
      random,
      logger,
    });
    const spending = new TunnelSpending({
      identity,
      payer,
      maxPrice,
      currency,
      payment: { settlement: kind, contract, creditLimit: '0' },
      clock,
      logger,
      ...(payMs !== undefined && { payMs }),
    });
    return new TunnelPayments(spending, payer);
  }

  /** Pay what is due before the node goes. */
  async payLast(timeoutMs: number): Promise<void> {
    await this.spending.payAll(AbortSignal.timeout(timeoutMs));
  }

  async close(): Promise<void> {
    await this.spending.close();
    await this.payer.close();
  }
}
