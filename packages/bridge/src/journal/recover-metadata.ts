import type { MetadataStore } from '../metadata/metadata-store.js';
import type { JournalLine } from '../metadata/journal-tables.js';
import type { RestoredMetadata } from '../metadata/journal-store.js';
import { MetadataError } from '../metadata/metadata-error.js';
import type { JournalBackend } from './journal-backend.js';
import { unpackPart } from './journal-file.js';
import { journalsIn, stateOf } from './journal-name.js';

/** What {@link recoverMetadata} brought back. */
export interface RecoveredMetadata extends RestoredMetadata {
  /** When the newest changes were written, in milliseconds since the epoch: all before is there. */
  readonly written: number;
}

/** Lines noted in one transaction. */
const BATCH = 1000;

/** A journal of a bridge in the network. */
export interface FoundJournal {
  readonly name: string;
  /** When the newest changes were written, in milliseconds since the epoch. */
  readonly written: number;
}

/** The journals of bridges that the network has under these keys, the one written last first. */
export async function findJournals(
  backend: JournalBackend,
  signal: AbortSignal,
): Promise<FoundJournal[]> {
  const entries = await backend.listEntries();
  const found: FoundJournal[] = [];
  for (const name of journalsIn(entries)) {
    const { snapshot, changes } = stateOf(name, entries);
    const newest = changes.at(-1) ?? snapshot!;
    for await (const head of unpackPart(backend.getEntry(newest.name, signal))) {
      if ('written' in head) found.push({ name, written: head.written });
      break;
    }
  }
  return found.sort((a, b) => b.written - a.written);
}

/** Whether the network has a journal of a bridge under these keys. */
export async function hasJournal(backend: JournalBackend): Promise<boolean> {
  return journalsIn(await backend.listEntries()).length > 0;
}

/**
 * Bring a bridge's metadata back from its journal in the network, into a database that has no users.
 * The renter's own records must be there: they say where the contents are.
 *
 * @throws MetadataError METADATA_USER_EXISTS when the database has something, METADATA_MISMATCH when the
 * journal was written under another master key, METADATA_NOT_IN_NETWORK when there is none,
 * METADATA_DAMAGED.
 */
export async function recoverMetadata(
  metadata: MetadataStore,
  backend: JournalBackend,
  journal: string,
  signal: AbortSignal,
): Promise<RecoveredMetadata> {
  const { snapshot, changes } = stateOf(journal, await backend.listEntries());
  if (snapshot === undefined) {
    throw new MetadataError(
      'METADATA_NOT_IN_NETWORK',
      `the network has no journal ${journal} under these keys`,
    );
  }
  await metadata.beginRestore();
  let written = 0;
  for (const { name } of [snapshot, ...changes]) {
    let lines: JournalLine[] = [];
    for await (const line of unpackPart(backend.getEntry(name, signal))) {
      signal.throwIfAborted();
      if (!('table' in line)) {
        metadata.checkProof(line.proof);
        written = Math.max(written, line.written);
        continue;
      }
      lines.push(line);
      if (lines.length < BATCH) continue;
      await metadata.restoreLines(lines);
      lines = [];
    }
    if (lines.length > 0) await metadata.restoreLines(lines);
  }
  const number = changes.at(-1)?.to ?? snapshot.number;
  const restored = await metadata.finishRestore(journal, number, await backend.listContents());
  return { ...restored, written };
}
