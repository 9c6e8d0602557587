import { type Contact, messageOf } from '@granary/kad';
import {
  MAX_SEALED_SIZE,
  PUT_ROOT_METHOD,
  type RootRecord,
  parseRootRecord,
  rootKeyOf,
  signRootRecord,
  toHex,
} from '@granary/protocol';
import { all } from './all.js';
import { RenterError } from './errors.js';
import { type IndexRoot, indexLines, packLines, packRoot, sealRoot } from './index-format.js';
import type { Leases } from './leases.js';
import type { IndexPart, IndexState } from './records.js';
import { RecentLines } from './recent-lines.js';
import type { RenterCore } from './renter-core.js';
import { CATALOGUE, INDEX_BUCKET } from './record-keys.js';

/** Compressed lines that the root record itself may carry. */
const INLINE_BYTES = 24 * 1024;
/** A part is merged with a newer one that is at least this share of it: so parts stay few. */
const MERGE_FACTOR = 4;
/** Farmers that must keep a root record before it counts, where there are as many. */
const ROOT_COPIES = 3;
const TIMEOUT_MS = 10_000;
const WAIT_MS = 100;
const PATIENCE_MS = 60_000;
/** How long the nodes that took the last root record are asked again without being looked up, in milliseconds. */
const NEAREST_FRESH_MS = 60_000;
/** Puts of all processes wait for as long when one is killed while it writes the index. */
const LEASE_MS = 12_000;

/** Nodes nearest to the root record's key, and when they were looked for. */
interface Nearest {
  readonly contacts: readonly Contact[];
  readonly at: number;
}

/**
 * Keeps the index in the network up with the store, so that the master secret alone leads to every
 * object. The index is a log-structured merge of parts, stored as objects like any other, and a
 * root record, which carries the latest changes and says where the parts are.
 */
export class IndexPublisher {
  /** The nodes nearest to the root record's key, when all of them took the last one. */
  private nearest: Nearest | undefined;
  /** A search for them that was begun before they are needed; undefined when it failed. */
  private search: Promise<Nearest | undefined> | undefined;
  /** Lines of the last root record. */
  private recent: RecentLines;

  constructor(
    private readonly core: RenterCore,
    private readonly leases: Leases,
    /** Store a part as an object of the index bucket. */
    private readonly storePart: (
      name: string,
      bytes: AsyncIterable<Uint8Array>,
      signal: AbortSignal,
    ) => Promise<void>,
  ) {
    this.recent = this.newLines();
  }

  /**
   * Publish every change that is in the store by now. Several processes that want to do so at one
   * time are served by one of them.
   *
   * @param renew - publish although nothing has changed: farmers come and go
   * @returns contracts of parts that are not needed any more
   * @throws RenterError RENTER_INDEX when too few farmers took it, RENTER_INDEX_CONFLICT when the
   * network has an index that this store does not know.
   */
  async publish(signal: AbortSignal, renew = false): Promise<Set<string>> {
    const { store, clock } = this.core;
    const target = await store.lastLog();
    const begun = clock.now();
    for (let force = renew; ;) {
      signal.throwIfAborted();
      if (!force && (await store.indexState()).covered >= target) return new Set();
      const done = await this.leases.alone(
        'index',
        (lost) => this.publishAlone(AbortSignal.any([signal, lost]), renew),
        LEASE_MS,
      );
      if (done !== undefined) return done.result;
      force = false;
      if (clock.now() - begun > PATIENCE_MS) {
        throw new RenterError(
          'RENTER_INDEX',
          'another process has been writing the index too long',
        );
      }
      await new Promise<void>((resolve) => void clock.setTimeout(resolve, WAIT_MS));
    }
  }

  /**
   * Begin to look for the nodes that the index goes to, when they are not known: whoever is about to change something will
   * need them at its end.
   */
  prepare(signal: AbortSignal): void {
    if (this.search !== undefined || this.isFresh(this.nearest)) return;
    // After the farmers were asked: two questions to one node at one time need two connections.
    this.search = this.core.directory
      .available()
      .then(() => this.findNearest(signal))
      .catch(() => undefined);
  }

  private isFresh(nearest: Nearest | undefined): nearest is Nearest {
    return nearest !== undefined && this.core.clock.now() - nearest.at < NEAREST_FRESH_MS;
  }

  private async findNearest(signal: AbortSignal): Promise<Nearest> {
    const { network, keys, clock } = this.core;
    const at = clock.now();
    const { contacts } = await network.node.lookup(rootKeyOf(keys.identity.nodeId), { signal });
    return { contacts, at };
  }

  private async publishAlone(signal: AbortSignal, renew: boolean): Promise<Set<string>> {
    const { store, keys } = this.core;
    const state = await store.indexState();
    const covered = await store.lastLog();
    if (renew) this.nearest = this.search = undefined;
    const { parts, packed } = await this.packIndex(state, covered, renew, signal);
    const sequence = state.sequence + 1;
    const sealed = sealRoot(keys, packed);
    if (sealed.length > MAX_SEALED_SIZE) {
      throw new RenterError('RENTER_INDEX', 'the index has outgrown its root record');
    }
    // A number is never used twice, whatever becomes of the attempt.
    await store.putIndexState({ ...state, sequence }, state.sequence);
    await this.push(signRootRecord(keys.identity, sequence, sealed), signal);
    await store.putIndexState({ sequence, covered, parts }, sequence);
    return this.dropOldParts({ sequence, covered, parts });
  }

  /** The root record's content, for all changes up to `covered`, and the parts that it names. */
  private async packIndex(
    { parts, covered: published }: IndexState,
    covered: number,
    renew: boolean,
    signal: AbortSignal,
  ): Promise<{ parts: readonly IndexPart[]; packed: Uint8Array }> {
    const { store, random } = this.core;
    const tail = parts.length === 0 ? [] : [{ parts, from: parts.at(-1)!.to }];
    // Little enough for the root record alone, perhaps again: to look costs, so not every time.
    const whole = { parts: [], from: 0 };
    for (const { parts, from } of renew ? [whole, ...tail] : [...tail, whole]) {
      const packed = await this.packInline(parts, from, published, covered);
      if (packed !== undefined) return { parts, packed };
    }
    const { from, kept } = this.mergeStart(parts, covered);
    const name = toHex(random(16));
    await this.storePart(name, packLines(indexLines(store, from, covered)), signal);
    const bytes = (await store.manifest({ bucket: INDEX_BUCKET, name }))?.size ?? 0;
    const next = [...kept, { name, from, to: covered, bytes }];
    return {
      parts: next,
      packed: await packRoot({ covered, parts: await this.describe(next) }, []),
    };
  }

  /**
   * The root record's content with the lines of all changes after log entry `from`; undefined when
   * they are too many for it.
   */
  private async packInline(
    parts: readonly IndexPart[],
    from: number,
    published: number,
    covered: number,
  ): Promise<Uint8Array | undefined> {
    const root = { covered, parts: await this.describe(parts) };
    // Lines that were kept tell of every change, of some things more than once: then anew, without those.
    for (const lines of [this.recent, this.newLines()]) {
      const texts = await lines.upTo(from, published, covered);
      if (texts === undefined) continue;
      const packed = await packRoot(root, texts);
      if (packed.length > INLINE_BYTES) {
        // What says where parts are may be much, and does not count.
        const bare = await packRoot(root, []);
        if (packed.length - bare.length > INLINE_BYTES) continue;
      }
      this.recent = lines;
      return packed;
    }
    return undefined;
  }

  private newLines(): RecentLines {
    // Hashes as hex shrink to little more than half; nothing shrinks to a tenth.
    return new RecentLines(this.core.store, INLINE_BYTES * 10);
  }

  /** Where parts are, as the root record says it. */
  private describe(parts: readonly IndexPart[]): Promise<IndexRoot['parts']> {
    const { store } = this.core;
    return Promise.all(
      parts.map(async ({ name }) => {
        const manifest = (await store.manifest({ bucket: INDEX_BUCKET, name }))!;
        return { manifest, segments: await all(store.segments(manifest.objectId)) };
      }),
    );
  }

  /** Where the next part begins: parts that are not much larger than it go into it. */
  private mergeStart(
    parts: readonly IndexPart[],
    to: number,
  ): { from: number; kept: readonly IndexPart[] } {
    const kept = [...parts];
    let from = kept.at(-1)?.to ?? 0;
    let size = INLINE_BYTES + (to - from) * 500;
    for (let last = kept.at(-1); last !== undefined; last = kept.at(-1)) {
      if (last.bytes > MERGE_FACTOR * size) break;
      kept.pop();
      from = last.from;
      size += last.bytes;
    }
    return { from, kept };
  }

  private async push(record: RootRecord, signal: AbortSignal): Promise<void> {
    await this.core.network.join();
    const { nearest } = this;
    if (this.isFresh(nearest)) {
      // A put every second need not ask every second who is near.
      if ((await this.pushTo(nearest.contacts, record, signal)).all) return;
    }
    this.nearest = undefined;
    const begun = await this.search;
    this.search = undefined;
    const { contacts, at } = this.isFresh(begun) ? begun : await this.findNearest(signal);
    const { all: tookIt, copies, reasons } = await this.pushTo(contacts, record, signal);
    if (tookIt) this.nearest = { contacts, at };
    if (copies < Math.min(ROOT_COPIES, Math.max(1, contacts.length))) {
      throw new RenterError(
        'RENTER_INDEX',
        `${copies} of ${contacts.length} nodes took the index's root record` +
          (reasons.length > 0 ? ` (last: ${reasons.at(-1)})` : ''),
      );
    }
  }

  /** Hand a root record to nodes. @throws RenterError RENTER_INDEX_CONFLICT when one has a newer one. */
  private async pushTo(
    contacts: readonly Contact[],
    record: RootRecord,
    signal: AbortSignal,
  ): Promise<{ all: boolean; copies: number; reasons: string[] }> {
    const { network, keys, logger } = this.core;
    const reasons: string[] = [];
    let [copies, newest] = [0, 0];
    await Promise.all(
      contacts.map(async (contact) => {
        try {
          const options = { signal, timeoutMs: TIMEOUT_MS };
          const answer = await network.node.call(contact, PUT_ROOT_METHOD, record, options);
          const { kept, record: other } = answer as { kept?: unknown; record?: unknown };
          if (kept === true) copies += 1;
          else {
            const { body } = parseRootRecord(other, keys.identity.nodeId);
            newest = Math.max(newest, body.sequence);
          }
        } catch (error) {
          reasons.push(messageOf(error));
          logger.debug({ node: contact.nodeId, error: messageOf(error) }, 'no root record kept');
        }
      }),
    );
    signal.throwIfAborted();
    if (newest >= record.body.sequence) {
      throw new RenterError(
        'RENTER_INDEX_CONFLICT',
        `the network has index ${newest} of these keys, this store is at ${record.body.sequence}: ` +
          'another machine uses the same keys, or this store is an old copy; to go on from what is ' +
          'in the network, run "granary recover" into an empty --home',
      );
    }
    return { all: contacts.length > 0 && copies === contacts.length, copies, reasons };
  }

  /** Parts that the network's root record no longer names go; their contracts. */
  private async dropOldParts({ parts }: IndexState): Promise<Set<string>> {
    const { store } = this.core;
    const names = new Set(parts.map(({ name }) => name));
    const contracts = new Set<string>();
    for (const { bucket, name, objectId } of await all(store.manifests(INDEX_BUCKET, '', ''))) {
      if (names.has(name) || name.startsWith(CATALOGUE)) continue;
      for await (const { shards } of store.segments(objectId)) {
        for (const { contract } of shards) contracts.add(contract);
      }
      await store.removeObject({ bucket, name });
    }
    return contracts;
  }
}
