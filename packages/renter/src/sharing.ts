import { messageOf, sha256, utf8 } from '@granary/kad';
import {
  MAX_SHARE_PAGES,
  type Manifest,
  type SegmentRecord,
  type ShareLink,
  type ShareRecord,
  fromHex,
  signShareRecord,
  toHex,
} from '@granary/protocol';
import { all } from './all.js';
import { RenterError } from './errors.js';
import type { ObjectPath, ShareEnd, ShareRow } from './records.js';
import { INDEX_BUCKET } from './record-keys.js';
import { type RenterCore, frameOf } from './renter-core.js';
import { segmentKey } from './segment-cipher.js';
import {
  KEEP_ENDED_MS,
  MAX_FARMERS,
  REFRESH_MS,
  REGRANT_MS,
  grantEnd,
  isOver,
  placeShareRecord,
  rowOf,
  tellFarmers,
} from './share-placement.js';
import {
  MAX_SHARED_NAME,
  headOfShared,
  sealEndedPage,
  sealSharePage,
  segmentsPerPage,
  shareKeysOf,
} from './share-pages.js';

/** How an object is shared. */
export interface ShareOptions {
  /** Until when, in milliseconds since the epoch; null: until it is taken back. Default null. */
  readonly expires?: number | null;
  /** How often every byte may be read, before farmers refuse. Default {@link DEFAULT_SHARE_READS}. */
  readonly reads?: number;
  readonly signal?: AbortSignal;
}

/** One share. Times are milliseconds since the epoch. */
export interface ShareInfo {
  readonly id: string;
  readonly bucket: string;
  readonly name: string;
  readonly created: number;
  /** Null when it has no end. */
  readonly expires: number | null;
  readonly reads: number;
  /** `expired`, or why it came to its end, or `open`. */
  readonly state: 'open' | 'expired' | ShareEnd;
  /** Until when the link works though this renter does not run again, if contracts last as long. */
  readonly grantedUntil: number;
  /** Farmers that have still to be told that it was taken back; they may serve it until then. */
  readonly untold: number;
  /** When its pages were last placed in the network; 0 when that is still to be done. */
  readonly placed: number;
  /** What a link to it says, but for the page and addresses. */
  readonly link: Pick<ShareLink, 'share' | 'secret'>;
}

/** What a round of care did for shares and access grants. */
export interface ShareCareReport {
  /** Those whose records were placed anew. */
  readonly placed: number;
  readonly failures: readonly { readonly share: string; readonly reason: string }[];
}

/** How often every byte of a share may be read when nothing else is said. */
export const DEFAULT_SHARE_READS = 1000;

/** Pages placed at one time. */
const PARALLEL_PAGES = 2;

/**
 * The owner's side of shares: makes them, keeps their pages in the network up with where shards are, and
 * takes them back.
 */
export class Sharing {
  constructor(private readonly core: RenterCore) {}

  /**
   * Share the version of an object that is current now. When the promise resolves, its pages are in the
   * network.
   *
   * @throws RenterError RENTER_NOT_FOUND, RENTER_SHARE, RENTER_NETWORK_UNREACHABLE.
   */
  async share(path: ObjectPath, options: ShareOptions, signal: AbortSignal): Promise<ShareInfo> {
    const { store, clock, random } = this.core;
    const { expires = null, reads = DEFAULT_SHARE_READS } = options;
    const now = clock.now();
    if (expires !== null && (!Number.isSafeInteger(expires) || expires <= now)) {
      throw new RenterError('RENTER_SHARE', 'the share would have expired already');
    }
    if (!Number.isSafeInteger(reads) || reads < 1 || reads > 2 ** 32) {
      throw new RenterError('RENTER_SHARE', 'a share may be read once or more often');
    }
    const manifest = path.bucket === INDEX_BUCKET ? undefined : await store.manifest(path);
    if (manifest === undefined) {
      throw new RenterError('RENTER_NOT_FOUND', `there is no object ${path.bucket}/${path.name}`);
    }
    const perPage = segmentsPerPage(this.core.settings.sharePageBytes, manifest.scheme.n);
    const row: ShareRow = {
      id: toHex(random(8)),
      bucket: path.bucket,
      name: path.name,
      objectId: manifest.objectId,
      created: now,
      expires,
      reads,
      state: 'open',
      ended: null,
      grantedUntil: grantEnd(expires, now),
      farmers: [],
      untold: [],
      perPage,
      pages: Math.max(1, Math.ceil(manifest.segments / perPage)),
      sequence: 0,
      placed: 0,
      digest: '',
    };
    if (row.pages > MAX_SHARE_PAGES) {
      throw new RenterError(
        'RENTER_SHARE',
        `the object has ${manifest.segments} segments, and a share has room for ` +
          `${MAX_SHARE_PAGES * perPage}: split it, and share the parts`,
      );
    }
    // First it is written down, so that nothing is granted that nobody could take back.
    await store.putShare(row);
    try {
      await this.placeOpen(row, manifest, signal);
    } catch (error) {
      await this.end(row, 'revoked');
      throw error;
    }
    return this.infoOf((await store.share(row.id))!);
  }

  /** Every share, oldest first. */
  async list(): Promise<ShareInfo[]> {
    const rows = await all(this.core.store.shares());
    return rows.sort((a, b) => a.created - b.created).map((row) => this.infoOf(row));
  }

  /**
   * Take a share back: the link says so from now on, and farmers serve it no more. Those that can't be
   * told now are told later, by care.
   *
   * @param id - or the beginning of it
   * @throws RenterError RENTER_NOT_FOUND.
   */
  async unshare(id: string, signal: AbortSignal): Promise<ShareInfo> {
    const { store } = this.core;
    const row = rowOf(await all(store.shares()), id, 'share');
    if (row.state === 'open') await this.end(row, 'revoked');
    const failure = await this.careFor((await store.share(row.id))!, signal);
    const now = (await store.share(row.id)) ?? row;
    if (failure !== undefined) {
      this.core.logger.info({ share: row.id, error: failure }, 'a share was not quite taken back');
    }
    return this.infoOf(now);
  }

  /** An object was replaced or deleted: its shares come to their end. What fails is left to care. */
  async objectChanged(path: ObjectPath, signal: AbortSignal): Promise<void> {
    for (const row of await all(this.core.store.sharesOf(path))) {
      if (row.state === 'open') await this.careFor(row, signal);
    }
  }

  /** Look after every share: say which came to their end, place pages anew where it is due. */
  async care(signal: AbortSignal): Promise<ShareCareReport> {
    const failures: { share: string; reason: string }[] = [];
    let placed = 0;
    for (const row of await all(this.core.store.shares())) {
      signal.throwIfAborted();
      const failure = await this.careFor(row, signal);
      const now = await this.core.store.share(row.id);
      if (failure !== undefined) failures.push({ share: row.id, reason: failure });
      else if (now !== undefined && now.placed > row.placed) placed += 1;
    }
    return { placed, failures };
  }

  /** @returns why it is not as it should be */
  private async careFor(before: ShareRow, signal: AbortSignal): Promise<string | undefined> {
    const { store, clock, logger } = this.core;
    let row = before;
    try {
      const now = clock.now();
      if (row.state === 'open') {
        const manifest = await store.manifest(row);
        if (manifest?.objectId !== row.objectId) {
          row = await this.end(row, manifest === undefined ? 'deleted' : 'replaced');
          if (row.state === 'open') return undefined; // it is gone
        } else if (isOver(row, now)) {
          if (now > row.grantedUntil + KEEP_ENDED_MS) await store.removeShare(row);
          return undefined;
        } else {
          if (row.grantedUntil < Math.min(row.expires ?? Infinity, now + REGRANT_MS)) {
            const grantedUntil = grantEnd(row.expires, now);
            const renewed = await store.changeOpenShare(row.id, (open) => ({
              ...open,
              grantedUntil,
            }));
            // Who took it back meanwhile tells everybody.
            if (renewed?.state !== 'open') return undefined;
            row = renewed;
          }
          const stale = now - row.placed > REFRESH_MS;
          if (stale || (await this.digestOf(row)) !== row.digest) {
            await this.placeOpen(row, manifest, signal);
          }
          return undefined;
        }
      }
      if (now - row.placed > REFRESH_MS) await this.placeEnded(row, signal);
      if (row.untold.length > 0) await this.tell(row, signal);
      const rest = await store.share(row.id);
      const done = rest !== undefined && rest.placed > 0;
      const old = now > Math.max(row.grantedUntil, row.ended! + KEEP_ENDED_MS);
      if (done && old) await store.removeShare(row);
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      logger.info({ share: row.id, error: messageOf(error) }, 'a share is not up to date');
      return messageOf(error);
    }
  }

  private async end(row: ShareRow, why: ShareEnd): Promise<ShareRow> {
    const { store, clock } = this.core;
    // Whose shards are deleted has nothing left to serve.
    const untold = why === 'revoked' ? await this.holders(row) : [];
    const ended = await store.changeOpenShare(row.id, (open) => ({
      ...open,
      state: why,
      ended: clock.now(),
      // With those that were granted it meanwhile.
      untold: why === 'revoked' ? [...new Set([...untold, ...open.farmers])] : [],
      placed: 0,
    }));
    return ended ?? row;
  }

  /** Farmers that were granted a share, and those that have its shards now. */
  private async holders({ objectId, farmers }: ShareRow): Promise<string[]> {
    const found = new Set(farmers);
    for await (const { shards } of this.core.store.segments(objectId)) {
      for (const { farmer } of shards) found.add(farmer);
    }
    return [...found];
  }

  private async digestOf({ objectId, grantedUntil }: ShareRow): Promise<string> {
    let digest = `${grantedUntil}`;
    for await (const { index, shards } of this.core.store.segments(objectId)) {
      const places = shards.map(({ contract }) => contract).join();
      digest = toHex(sha256(utf8(`${digest}/${index}/${places}`)));
    }
    return digest;
  }

  private async placeOpen(row: ShareRow, manifest: Manifest, signal: AbortSignal): Promise<void> {
    const { store, keys, clock } = this.core;
    const { owner, secret } = keys.share(fromHex(row.id));
    const shareKeys = shareKeysOf(owner.nodeId, secret);
    const frame = frameOf(this.core, manifest);
    const { perPage: per } = row;
    const digest = await this.digestOf(row);
    const farmers = (await this.holders(row)).slice(0, MAX_FARMERS);
    const sequence = Math.max(clock.now(), row.sequence + 1);
    // Before anything is granted to them it is written down who has to be told when it is taken back.
    await store.changeShare(row.id, (known) => ({ ...known, farmers, sequence }));
    await this.placeAll(row.pages, signal, async (page) => {
      const segments: { record: SegmentRecord; key: Uint8Array }[] = [];
      for await (const record of store.segments(row.objectId, page * per)) {
        if (record.index >= (page + 1) * per) break;
        segments.push({ record, key: segmentKey(frame.objectKey, fromHex(record.salt)) });
      }
      const sealed = await sealSharePage({
        keys: shareKeys,
        page,
        renter: keys.identity,
        ...(page === 0 && {
          object: headOfShared(manifest, { ...row, name: shownName(manifest.name) }),
        }),
        expires: row.grantedUntil,
        reads: row.reads,
        segments,
      });
      return signShareRecord(owner, page, sequence, sealed);
    });
    await store.changeShare(row.id, (known) =>
      known.state === 'open' ? { ...known, placed: clock.now(), digest } : known,
    );
    // It may have been taken back meanwhile, and these pages may have come after those that say so.
    const now = await store.share(row.id);
    if (now !== undefined && now.state !== 'open') await this.placeEnded(now, signal);
  }

  private async placeEnded(row: ShareRow, signal: AbortSignal): Promise<void> {
    const { store, keys, clock } = this.core;
    const { owner, secret } = keys.share(fromHex(row.id));
    const shareKeys = shareKeysOf(owner.nodeId, secret);
    const sequence = Math.max(clock.now(), row.sequence + 1);
    await store.changeShare(row.id, (known) => ({ ...known, sequence }));
    await this.placeAll(row.pages, signal, async (page) => {
      const sealed = await sealEndedPage(shareKeys, page, row.state as ShareEnd, row.ended!);
      return signShareRecord(owner, page, sequence, sealed);
    });
    await store.changeShare(row.id, (known) => ({ ...known, placed: clock.now() }));
  }

  private async placeAll(
    pages: number,
    signal: AbortSignal,
    make: (page: number) => Promise<ShareRecord>,
  ): Promise<void> {
    await this.core.network.join();
    // The first page last: it is what a reader begins with.
    const waiting = Array.from({ length: pages - 1 }, (_, i) => i + 1);
    const work = async () => {
      for (let page = waiting.pop(); page !== undefined; page = waiting.pop()) {
        signal.throwIfAborted();
        await placeShareRecord(this.core, await make(page), signal);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_PAGES }, work));
    await placeShareRecord(this.core, await make(0), signal);
  }

  /** Tell farmers that a share was taken back. */
  private async tell(row: ShareRow, signal: AbortSignal): Promise<void> {
    const { keys, store } = this.core;
    const { owner, secret } = keys.share(fromHex(row.id));
    const { reader } = shareKeysOf(owner.nodeId, secret);
    const revocation = { reader: reader.nodeId, until: row.grantedUntil };
    const told = await tellFarmers(this.core, revocation, row.untold, signal);
    await store.changeShare(row.id, (known) => ({
      ...known,
      untold: known.untold.filter((farmer) => !told.has(farmer)),
    }));
  }

  private infoOf(row: ShareRow): ShareInfo {
    const { keys, clock } = this.core;
    const { owner, secret } = keys.share(fromHex(row.id));
    const { id, bucket, name, created, expires, reads, grantedUntil, placed } = row;
    return {
      id,
      bucket,
      name,
      created,
      expires,
      reads,
      state: row.state === 'open' && isOver(row, clock.now()) ? 'expired' : row.state,
      grantedUntil,
      untold: row.untold.length,
      placed,
      link: { share: owner.nodeId, secret },
    };
  }
}

/** The last part of an object's name: where it lay is nobody's business. */
function shownName(name: string): string {
  const last = name.split('/').findLast((part) => part !== '') ?? name;
  let shown = '';
  for (const character of last) {
    if (utf8(shown + character).length > MAX_SHARED_NAME) break;
    shown += character;
  }
  return shown;
}
