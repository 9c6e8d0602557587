import type {
  FoundJournal,
  JournalBackend,
  MetadataStore,
  RecoveredMetadata,
} from '@granary/bridge';
import type { Renter } from '@granary/renter';
import { type BridgeDatabaseOptions, withMetadata } from '../bridge-context.js';
import { CliError } from '../cli-error.js';
import { type Context, withRenter } from '../context.js';

/** Options of `granary bridge recover`. */
export interface RecoverBridgeOptions extends BridgeDatabaseOptions {
  readonly journal?: string;
}

/** Names of objects that are listed at most. */
const SHOWN = 20;

/** `granary bridge recover`: make the bridge's database anew from the network. */
export async function recoverBridge(
  context: Context,
  options: RecoverBridgeOptions,
): Promise<void> {
  await withRenter(context, async (renter) => {
    const found = await restoreBridge(context, renter, options);
    if (found !== undefined) return context.output.result({ home: context.home, bridge: found });
    throw new CliError(
      'CLI_NOT_FOUND',
      'there is no journal of a bridge among what these keys have stored; where the home directory ' +
        'was lost, too, "granary recover" brings back everything',
    );
  });
}

/**
 * Restore the bridge's database from the journal that was written last, or the one that is named.
 *
 * @returns undefined when there is none
 */
export async function restoreBridge(
  context: Context,
  renter: Renter,
  options: RecoverBridgeOptions,
): Promise<RecoveredMetadata | undefined> {
  const { RenterBackend, hasJournal } = await import('@granary/bridge');
  const backend = new RenterBackend(renter);
  if (!(await hasJournal(backend))) return undefined;
  const report = await withMetadata(context, options, (metadata) =>
    restoreInto(context, metadata, backend, options.journal),
  );
  const { users, buckets, versions, lost, written } = report;
  context.output.line(
    `Recovered the bridge as it was at ${dateOf(written)}: ${count(users, 'user')}, ` +
      `${count(buckets, 'bucket')}, ${count(versions, 'object')} with all versions.`,
  );
  if (lost.length > 0) {
    context.output.note(
      `${count(lost.length, 'object')} could not be brought back: what they consisted of is not in the network.`,
    );
    for (const { bucket, key } of lost.slice(0, SHOWN)) context.output.note(`  ${bucket}/${key}`);
    if (lost.length > SHOWN) context.output.note(`  and ${lost.length - SHOWN} more`);
  }
  return report;
}

async function restoreInto(
  { output, signal }: Context,
  metadata: MetadataStore,
  backend: JournalBackend,
  name: string | undefined,
): Promise<RecoveredMetadata> {
  const { findJournals, recoverMetadata } = await import('@granary/bridge');
  // Before anything is read: there may be something here that must not be lost.
  await metadata.beginRestore();
  const journals = await findJournals(backend, signal);
  const journal = chosen(journals, name);
  for (const { name: other, written } of journals) {
    if (other === journal.name) continue;
    output.note(
      `  another bridge's journal was left alone: --journal ${other}, written ${dateOf(written)}`,
    );
  }
  return recoverMetadata(metadata, backend, journal.name, signal);
}

function chosen(journals: readonly FoundJournal[], name: string | undefined): FoundJournal {
  const found = name === undefined ? journals[0] : journals.find((one) => one.name === name);
  if (found !== undefined) return found;
  const names = journals.map((journal) => journal.name).join(', ');
  throw new CliError('CLI_USAGE', `--journal ${name ?? ''}: there is ${names}`);
}

function dateOf(written: number): string {
  return new Date(written).toISOString().replace('T', ' ').replace(/\..*/, ' UTC');
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}
