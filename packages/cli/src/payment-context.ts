import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { type Identity, loadIdentity, systemClock } from '@granary/kad';
import { LmdbRows, PaymentBook, type Settlement, ledgerSettlement } from '@granary/payments';
import { CliError } from './cli-error.js';
import { type Context, loadKeys } from './context.js';
import { chainSettlement } from './paying.js';

/** Whose payments a command is about: the renter of the home directory, or a farmer. */
export interface PaymentContext {
  readonly identity: Identity;
  readonly book: PaymentBook;
  readonly role: 'renter' | 'farmer';
  /** The chain that the configuration names, or the ledger. */
  readonly settlement: Settlement;
}

/**
 * Open the book of a renter, or of the farmer in `data`, do something with it, and close it. The
 * farmer may be running.
 *
 * @throws CliError CLI_USAGE when there is no farmer in the directory.
 */
export async function withBook<T>(
  context: Context,
  data: string | undefined,
  work: (payments: PaymentContext) => Promise<T>,
): Promise<T> {
  const role = data === undefined ? 'renter' : 'farmer';
  const directory = data ?? join(context.home, 'store');
  const identity =
    data === undefined ? (await loadKeys(context)).identity : await farmerIdentity(data);
  const there = await access(directory).then(
    () => true,
    () => false,
  );
  if (!there) {
    const { mkdir } = await import('node:fs/promises');
    await mkdir(directory, { recursive: true, mode: 0o700 });
  }
  const book = new PaymentBook(LmdbRows.open(join(directory, 'payments.lmdb')), systemClock);
  try {
    const settlement =
      (await chainSettlement(context.config, identity, context.dialer)) ??
      ledgerSettlement('credit', identity.nodeId);
    return await work({ identity, book, role, settlement });
  } finally {
    await book.close();
  }
}

async function farmerIdentity(data: string): Promise<Identity> {
  try {
    return await loadIdentity(join(data, 'identity.json'));
  } catch (error) {
    const missing = ['ENOENT', 'ENOTDIR'];
    for (let at = error; at instanceof Error; at = at.cause) {
      if (missing.includes(String((at as NodeJS.ErrnoException).code))) {
        throw new CliError('CLI_USAGE', `--data ${data}: there is no farmer in this directory`);
      }
    }
    throw error;
  }
}
