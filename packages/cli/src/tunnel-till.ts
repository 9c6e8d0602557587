import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { type Identity, type Plugin, messageOf, systemClock } from '@granary/kad';
import type { TunnelCharges } from '@granary/payments';
import { CliError } from './cli-error.js';
import type { Context } from './context.js';
import { chainSettlement, parseAmount } from './paying.js';

/** Flags of a tunnel that is paid. */
export interface TillFlags {
  readonly tunnelPrice: string;
  readonly credit?: string;
  readonly currency?: string;
  readonly redeemAt?: string;
}

/** How often channels are looked at. */
const COLLECT_MS = 600_000;
/** The shortest challenge period of channels that are accepted. */
const MIN_CHALLENGE_MS = 48 * 3600 * 1000;

/** What a tunnel that stores nothing is paid with: its book, and what it answers to those who pay. */
export interface TunnelTill {
  /** Undefined while it carries for nothing. */
  readonly charges: TunnelCharges | undefined;
  /** Answers clients that pay, and collects. */
  readonly plugin: Plugin;
  close(): Promise<void>;
}

/**
 * Open the till of a tunnel.
 *
 * @returns undefined when it carries for nothing, and always has
 * @throws CliError CLI_USAGE; PaymentError PAYMENT_AMOUNT when the credit is too small.
 */
export async function openTunnelTill(
  { config, dialer, logger }: Context,
  data: string,
  flags: TillFlags,
  identity: Identity,
): Promise<TunnelTill | undefined> {
  const price = parseAmount('--tunnel-price', flags.tunnelPrice);
  const path = join(data, 'payments.lmdb');
  const used = await access(path).then(
    () => true,
    () => false,
  );
  if (price === 0n && !used) return undefined;
  const payments = await import('@granary/payments');
  const chain = await chainSettlement(config, identity, dialer);
  if (chain !== undefined && flags.currency !== undefined && flags.currency !== chain.currency) {
    throw new CliError(
      'CLI_USAGE',
      `--currency ${flags.currency}: on the chain it is ${chain.currency}`,
    );
  }
  const settlement =
    chain ?? payments.ledgerSettlement(flags.currency ?? 'credit', identity.nodeId);
  const { currency } = settlement;
  const credit = flags.credit === undefined ? 10n * price : parseAmount('--credit', flags.credit);
  const payee = new payments.Payee({
    identity,
    book: new payments.PaymentBook(payments.LmdbRows.open(path), systemClock),
    settlement,
    creditLimit: credit,
    minChallengeMs: MIN_CHALLENGE_MS,
    redeemAt: flags.redeemAt === undefined ? 1n : parseAmount('--redeem-at', flags.redeemAt),
    clock: systemClock,
    logger,
  });
  const parts = { identity, payee, price, currency, clock: systemClock, logger };
  let charges: TunnelCharges | undefined;
  try {
    charges = price === 0n ? undefined : new payments.TunnelCharges(parts);
  } catch (error) {
    await payee.close();
    throw error;
  }
  let timer: NodeJS.Timeout | undefined;
  let collecting: Promise<void> = Promise.resolve();
  const collect = () => {
    collecting = payee
      .collect()
      .then(() => payee.book.sweep())
      .catch((error: unknown) =>
        logger.error({ error: messageOf(error) }, 'collecting payments failed'),
      );
  };
  const plugin: Plugin = {
    name: 'tunnel-till',
    install: () => ({
      methods: payments.paymentMethods(payee),
      start: () => {
        collect();
        timer = setInterval(collect, COLLECT_MS);
      },
      stop: () => clearInterval(timer),
    }),
  };
  const close = async () => {
    clearInterval(timer);
    // What is cut off here is taken up again at the next start.
    await Promise.race([collecting, new Promise((resolve) => setTimeout(resolve, 2_000).unref())]);
    await charges?.flush();
    await payee.close();
  };
  return { charges, plugin, close };
}
