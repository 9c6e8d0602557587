import { RenterError } from './errors.js';
import { after, keys, logNumber, within } from './record-keys.js';
import type { IndexState, LogRecord } from './records.js';
import type { SealedRecords } from './sealed-records.js';

/** What the index in the network knows, and what it has still to learn. */
export interface IndexRecords {
  /** Changes that the index has still to learn of, after entry `from`, with their numbers. */
  log(from: number, to?: number): AsyncGenerator<readonly [number, LogRecord]>;
  /** The number of the last change. */
  lastLog(): Promise<number>;
  indexState(): Promise<IndexState>;
  /**
   * The network has a new root record: forget the changes that its whole parts cover.
   *
   * @param before - the number that the last one must have had; any when it is not given
   * @throws RenterError RENTER_INDEX when another process has written one meanwhile
   */
  putIndexState(state: IndexState, before?: number): Promise<void>;
}

/** Log entries forgotten in one transaction. */
const FORGET = 1000;

/** The index's state in records. */
export function indexRecords(records: SealedRecords): IndexRecords {
  async function indexState(): Promise<IndexState> {
    const none: IndexState = { sequence: 0, covered: 0, parts: [] };
    return ((await records.get(keys.indexState)) as IndexState | undefined) ?? none;
  }

  return {
    indexState,

    async *log(from, to = Number.MAX_SAFE_INTEGER) {
      const range = { start: keys.log(from + 1), end: keys.log(Math.min(to, 2 ** 52 - 2) + 1) };
      for await (const [key, value] of records.entries(range)) {
        yield [logNumber(key), value as LogRecord];
      }
    },

    lastLog: async () => {
      const key = await records.firstKey({ start: 'log/', end: after('log/'), reverse: true });
      const last = key === undefined ? 0 : logNumber(key);
      return Math.max(last, (await indexState()).covered);
    },

    putIndexState: async (state, before) => {
      // With no parts everything is in the root record, and is made from the store itself.
      const [first] = state.parts;
      const base = first === undefined ? state.covered : first.from === 0 ? first.to : 0;
      for (let more = true, written = false; more; written = true) {
        more = await records.transaction(function* (t) {
          // The state first: what a crash then leaves of the log is forgotten the next time.
          if (!written) {
            const now = (yield* t.get(keys.indexState)) as IndexState | undefined;
            if (before !== undefined && (now?.sequence ?? 0) !== before) throw overtaken();
            t.put(keys.indexState, state);
          }
          const old = yield* t.range({ ...within('log/'), end: keys.log(base + 1), limit: FORGET });
          for (const [key] of old) t.remove(key);
          return old.length === FORGET;
        });
      }
    },
  };
}

function overtaken(): RenterError {
  return new RenterError('RENTER_INDEX', 'another process has written the index meanwhile');
}
