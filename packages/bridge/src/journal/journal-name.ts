import type { JournalEntry } from './journal-backend.js';

/** What an object of the journal holds, by its name. */
export type JournalPart =
  /** Every row there was, read when all changes up to this number had been. */
  | { readonly kind: 'snapshot'; readonly number: number }
  /** The changes of these numbers. */
  | { readonly kind: 'changes'; readonly from: number; readonly to: number };

/** A part with where it is. */
export type StoredPart = JournalPart & JournalEntry;

const digits = (n: number) => String(n).padStart(12, '0');

/** The name of a part's object. @param journal - the journal's name */
export function nameOf(journal: string, part: JournalPart): string {
  const name =
    part.kind === 'snapshot'
      ? `snapshot-${digits(part.number)}`
      : `changes-${digits(part.from)}-${digits(part.to)}`;
  return `${journal}/${name}`;
}

function partOf(journal: string, { name, size }: JournalEntry): StoredPart | undefined {
  if (!name.startsWith(`${journal}/`)) return undefined;
  const rest = name.slice(journal.length + 1);
  const snapshot = /^snapshot-(\d{12})$/.exec(rest);
  if (snapshot !== null) return { kind: 'snapshot', number: Number(snapshot[1]), name, size };
  const changes = /^changes-(\d{12})-(\d{12})$/.exec(rest);
  if (changes === null) return undefined;
  return { kind: 'changes', from: Number(changes[1]), to: Number(changes[2]), name, size };
}

/** The parts that make up the newest state, and those that are not needed any more. */
export interface JournalState {
  readonly snapshot: Extract<StoredPart, { kind: 'snapshot' }> | undefined;
  /** In the order in which they are to be applied. */
  readonly changes: readonly Extract<StoredPart, { kind: 'changes' }>[];
  readonly superseded: readonly JournalEntry[];
  /** The highest number that any part has; 0 when there is none. */
  readonly highest: number;
}

/** What a listing of objects amounts to for one journal. */
export function stateOf(journal: string, entries: readonly JournalEntry[]): JournalState {
  const parts = entries.map((entry) => partOf(journal, entry)).filter((part) => part !== undefined);
  const snapshots = parts.filter((part) => part.kind === 'snapshot');
  const snapshot = snapshots.sort((a, b) => b.number - a.number)[0];
  const all = parts
    .filter((part) => part.kind === 'changes')
    .sort((a, b) => a.from - b.from || b.to - a.to);
  const changes: typeof all = [];
  let end = snapshot?.number ?? 0;
  for (const part of all) {
    // What a merged part or the snapshot holds is in it in a state at least as new.
    if (part.to <= end) continue;
    changes.push(part);
    end = part.to;
  }
  const needed = new Set([snapshot, ...changes].map((part) => part?.name));
  const numbers = parts.map((part) => (part.kind === 'snapshot' ? part.number : part.to));
  const highest = Math.max(0, ...numbers);
  return { snapshot, changes, highest, superseded: parts.filter(({ name }) => !needed.has(name)) };
}

/** Names of the journals that can be restored from. */
export function journalsIn(entries: readonly JournalEntry[]): string[] {
  const names = new Set(entries.map(({ name }) => name.split('/')[0]!));
  return [...names].filter((name) => stateOf(name, entries).snapshot !== undefined);
}
