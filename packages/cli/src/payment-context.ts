import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { type Identity, loadIdentity, makeDirectory, systemClock } from '@granary/kad';
import { LmdbRows, PaymentBook, type Settlement, ledgerSettlement } from '@granary/payments';
import { CliError } from './cli-error.js';
import { type Context, loadKeys } from './context.js';
import { chainSettlement } from './paying.js';

/** Whose payments a command is about: the renter of the home directory, or a farmer or a tunnel. */
export interface PaymentContext {
  readonly identity: Identity;
  readonly book: PaymentBook;
  /** Who is on the other side of the book. */
  readonly others: 'farmer' | 'renter' | 'client' | 'tunnel';
  readonly role: 'renter' | 'farmer';
  /** The chain that the configuration names, or the ledger. */
  readonly settlement: Settlement;
}

/** The book of a node's directory: what it is owed, and what it owes. */
const FILES = { earned: 'payments.lmdb', spent: 'costs.lmdb' };

/** Whether there is a book of what a farmer owes to tunnels. */
export function hasSpent(data: string | undefined): Promise<boolean> {
  return data === undefined ? Promise.resolve(false) : exists(join(data, FILES.spent));
}

/**
 * Open the book of a renter, or of the farmer or tunnel in `data`, do something with it, and close it. The
 * node may be running.
 *
 * @param kind - of a farmer: what it is owed, or what it owes to tunnels
 * @throws CliError CLI_USAGE when there is no node in the directory.
 */
export async function withBook<T>(
  context: Context,
  data: string | undefined,
  work: (payments: PaymentContext) => Promise<T>,
  kind: keyof typeof FILES = 'earned',
): Promise<T> {
  const role = data === undefined ? 'renter' : 'farmer';
  const directory = data ?? join(context.home, 'store');
  const identity =
    data === undefined ? (await loadKeys(context)).identity : await farmerIdentity(data);
  await makeDirectory(directory);
  const book = new PaymentBook(LmdbRows.open(join(directory, FILES[kind])), systemClock);
  const storesShards = data !== undefined && (await exists(join(data, 'contracts.lmdb')));
  const owing = storesShards ? 'renter' : 'client';
  const others = data === undefined ? 'farmer' : kind === 'spent' ? 'tunnel' : owing;
  try {
    const settlement =
      (await chainSettlement(context.config, identity, context.dialer)) ??
      ledgerSettlement('credit', identity.nodeId);
    return await work({ identity, book, role, others, settlement });
  } finally {
    await book.close();
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function farmerIdentity(data: string): Promise<Identity> {
  try {
    return await loadIdentity(join(data, 'identity.json'));
  } catch (error) {
    const missing = ['ENOENT', 'ENOTDIR'];
    for (let at = error; at instanceof Error; at = at.cause) {
      if (missing.includes(String((at as NodeJS.ErrnoException).code))) {
        throw new CliError(
          'CLI_USAGE',
          `--data ${data}: there is no farmer or tunnel in this directory`,
        );
      }
    }
    throw error;
  }
}
