import { type Logger, messageOf, pause, sha256, utf8 } from '@granary/kad';
import {
  type AccessGrant,
  type Manifest,
  fromHex,
  signShareRecord,
  toHex,
} from '@granary/protocol';
import { all } from './all.js';
import { RenterError } from './errors.js';
import { writeCatalogue } from './grant-catalogue.js';
import type { Leases } from './leases.js';
import { CATALOGUE, INDEX_BUCKET } from './record-keys.js';
import type { GrantRow, ObjectPath } from './records.js';
import { type RenterCore, frameOf } from './renter-core.js';
import type { RenterStore } from './renter-store.js';
import { segmentKey } from './segment-cipher.js';
import {
  grantKeysOf,
  headOfShared,
  sealEndedPage,
  sealSharePage,
  segmentsPerPage,
} from './share-pages.js';
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
import { DEFAULT_SHARE_READS, type ShareCareReport, type ShareOptions } from './sharing.js';

/** What an access grant is of. */
export interface GrantScope {
  readonly bucket: string;
  /** What names in it begin with; all of the bucket when it is empty. */
  readonly prefix: string;
}

/** One access grant. Times are milliseconds since the epoch. */
export interface AccessGrantInfo extends GrantScope {
  readonly id: string;
  readonly created: number;
  /** Null when it has no end. */
  readonly expires: number | null;
  readonly reads: number;
  readonly state: 'open' | 'expired' | 'revoked';
  /** Objects in the scope when it was last brought up to date. */
  readonly objects: number;
  /** Until when it works though this renter does not run again, if contracts last as long. */
  readonly grantedUntil: number;
  /** Farmers that have still to be told that it was taken back; they may serve it until then. */
  readonly untold: number;
  /** When its record was last placed in the network; 0 when that is still to be done. */
  readonly placed: number;
  /** What the grant says, but for the page and addresses. */
  readonly link: Pick<AccessGrant, 'grant' | 'secret'>;
}

/** What {@link AccessGrants} work with besides the core. */
export interface AccessGrantParts {
  readonly leases: Leases;
  /** Store an object of the index bucket. */
  readonly store: (
    name: string,
    bytes: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ) => Promise<void>;
  /** Have deleted what is not wanted any more. */
  readonly collect: (signal: AbortSignal, contracts: ReadonlySet<string>) => Promise<unknown>;
}

const WAIT_MS = 200;
/** How long another process that brings a grant up to date is waited for, in milliseconds. */
const PATIENCE_MS = 60_000;
/** Others wait for as long when one is killed while it writes a catalogue. */
const LEASE_MS = 12_000;

/**
 * The owner's side of access grants: makes them, keeps their catalogues up with what is in their scopes, and
 * takes them back.
 */
export class AccessGrants {
  private readonly logger: Logger;

  constructor(
    private readonly core: RenterCore,
    private readonly parts: AccessGrantParts,
  ) {
    this.logger = core.logger;
  }

  /**
   * Let whoever has the grant list and read what is in a scope, and what will be. When the promise
   * resolves, it is in the network.
   *
   * @throws RenterError RENTER_SHARE, RENTER_NETWORK_UNREACHABLE, …
   */
  async grant(
    scope: GrantScope,
    options: ShareOptions,
    signal: AbortSignal,
  ): Promise<AccessGrantInfo> {
    const { store, clock, random } = this.core;
    const { expires = null, reads = DEFAULT_SHARE_READS } = options;
    const now = clock.now();
    if (expires !== null && (!Number.isSafeInteger(expires) || expires <= now)) {
      throw new RenterError('RENTER_SHARE', 'the access grant would have expired already');
    }
    if (!Number.isSafeInteger(reads) || reads < 1 || reads > 2 ** 32) {
      throw new RenterError('RENTER_SHARE', 'what is granted may be read once or more often');
    }
    const row: GrantRow = {
      id: toHex(random(8)),
      bucket: scope.bucket,
      prefix: scope.prefix,
      created: now,
      expires,
      reads,
      state: 'open',
      ended: null,
      grantedUntil: grantEnd(expires, now),
      farmers: [],
      untold: [],
      objects: 0,
      catalogues: [],
      list: 0,
      sequence: 0,
      placed: 0,
      digest: '',
      catalogueDigest: '',
    };
    // First it is written down, so that nothing is granted that nobody could take back.
    await store.putGrant(row);
    try {
      await this.refresh(row.id, signal);
    } catch (error) {
      await this.end(row);
      throw error;
    }
    return this.infoOf((await store.grant(row.id))!);
  }

  /** Every access grant, oldest first. */
  async list(): Promise<AccessGrantInfo[]> {
    const rows = await all(this.core.store.grants());
    return rows.sort((a, b) => a.created - b.created).map((row) => this.infoOf(row));
  }

  /**
   * Take one back: it says so from now on, and farmers serve it no more. Those that can't be told now
   * are told later, by care.
   *
   * @param id - or the beginning of it
   * @throws RenterError RENTER_NOT_FOUND.
   */
  async revoke(id: string, signal: AbortSignal): Promise<AccessGrantInfo> {
    const { store } = this.core;
    const row = rowOf(await all(store.grants()), id, 'access grant');
    if (row.state === 'open') await this.end(row);
    await this.careFor(row.id, signal);
    return this.infoOf((await store.grant(row.id)) ?? row);
  }

  /** An object came, was replaced or went: grants whose scope it is in follow. What fails is left to care. */
  async objectChanged({ bucket, name }: ObjectPath, signal: AbortSignal): Promise<void> {
    for (const row of await all(this.core.store.grants())) {
      const inScope = row.bucket === bucket && name.startsWith(row.prefix);
      if (row.state === 'open' && inScope) await this.careFor(row.id, signal);
    }
  }

  /** Bring every grant up to date, and tell whom there is still to tell. */
  async care(signal: AbortSignal): Promise<ShareCareReport> {
    const failures: { share: string; reason: string }[] = [];
    let placed = 0;
    for (const row of await all(this.core.store.grants())) {
      signal.throwIfAborted();
      const failure = await this.careFor(row.id, signal);
      const now = await this.core.store.grant(row.id);
      if (failure !== undefined) failures.push({ share: row.id, reason: failure });
      else if (now !== undefined && now.placed > row.placed) placed += 1;
    }
    return { placed, failures };
  }

  /** @returns why it is not as it should be */
  private async careFor(id: string, signal: AbortSignal): Promise<string | undefined> {
    try {
      await this.refresh(id, signal);
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      this.logger.info({ grant: id, error: messageOf(error) }, 'an access grant is not up to date');
      return messageOf(error);
    }
  }

  /** Bring one up to date; processes that want to do so at one time do it one after the other. */
  private async refresh(id: string, signal: AbortSignal): Promise<void> {
    const { clock } = this.core;
    const begun = clock.now();
    for (;;) {
      const done = await this.parts.leases.alone(
        `grant/${id}`,
        (lost) => this.refreshAlone(id, AbortSignal.any([signal, lost])),
        LEASE_MS,
      );
      if (done !== undefined) return;
      if (clock.now() - begun > PATIENCE_MS) {
        throw new RenterError(
          'RENTER_SHARE',
          'another process has been at this access grant too long',
        );
      }
      await pause(clock, WAIT_MS, signal);
      signal.throwIfAborted();
    }
  }

  private async refreshAlone(id: string, signal: AbortSignal): Promise<void> {
    const { store, clock } = this.core;
    let row = await store.grant(id);
    if (row === undefined) return;
    const now = clock.now();
    if (row.state === 'revoked') {
      if (now - row.placed > REFRESH_MS) await this.placeEnded(row, signal);
      if (row.untold.length > 0) await this.tell(row, signal);
      await this.dropCatalogues(row, [], signal);
      const rest = await store.grant(id);
      if (rest === undefined || rest.placed === 0) return;
      if (now > Math.max(row.grantedUntil, row.ended! + KEEP_ENDED_MS))
        await store.removeGrant(rest);
      return;
    }
    if (isOver(row, now)) {
      await this.dropCatalogues(row, [], signal);
      if (now > row.grantedUntil + KEEP_ENDED_MS) await store.removeGrant(row);
      return;
    }
    if (row.grantedUntil < Math.min(row.expires ?? Infinity, now + REGRANT_MS)) {
      row = { ...row, grantedUntil: grantEnd(row.expires, now) };
      const { grantedUntil } = row;
      await store.changeGrant(id, (known) => ({ ...known, grantedUntil }), true);
    }
    const current = row.catalogues.at(-1);
    const manifest = current === undefined ? undefined : await this.catalogue(current);
    const digest = await this.digestOf(row);
    if (manifest === undefined || digest !== row.digest) {
      await this.writeAnew(row, digest, signal);
    } else if (
      now - row.placed > REFRESH_MS ||
      (await placesOf(store, manifest.objectId)) !== row.catalogueDigest
    ) {
      await this.place(row, manifest, signal);
    }
    await this.settle(id, signal);
  }

  private async writeAnew(row: GrantRow, digest: string, signal: AbortSignal): Promise<void> {
    const { store, keys, random } = this.core;
    const { owner, secret } = keys.grant(fromHex(row.id));
    const { reader } = grantKeysOf(owner.nodeId, secret);
    // Before anything is granted to them it is written down who has to be told when it is taken back.
    const farmers = await this.holders(row);
    await store.changeGrant(row.id, (known) => ({ ...known, farmers }));
    const name = `${CATALOGUE}${row.id}-${toHex(random(8))}`;
    const made = { objects: 0, list: 0 };
    await this.parts.store(name, writeCatalogue(this.core, row, reader, made), signal);
    const manifest = (await this.catalogue(name))!;
    // The one before stays until the network leads to this one.
    const change = (known: GrantRow): GrantRow => ({
      ...known,
      ...made,
      digest,
      catalogues: [...known.catalogues, name],
    });
    await store.changeGrant(row.id, change);
    await this.place(change({ ...row, farmers }), manifest, signal);
  }

  /** Have the record lead to the last catalogue. */
  private async place(row: GrantRow, manifest: Manifest, signal: AbortSignal): Promise<void> {
    const { store, keys, clock, settings, network } = this.core;
    const { owner, secret } = keys.grant(fromHex(row.id));
    const grantKeys = grantKeysOf(owner.nodeId, secret);
    const perPage = segmentsPerPage(settings.sharePageBytes, manifest.scheme.n);
    if (manifest.segments > perPage) {
      throw new RenterError(
        'RENTER_SHARE',
        'there is too much in the scope of this access grant: grant a smaller one',
      );
    }
    const catalogueDigest = await placesOf(store, manifest.objectId);
    const farmers = new Set(row.farmers);
    const frame = frameOf(this.core, manifest);
    const segments = [];
    for await (const record of store.segments(manifest.objectId)) {
      for (const { farmer } of record.shards) farmers.add(farmer);
      segments.push({ record, key: segmentKey(frame.objectKey, fromHex(record.salt)) });
    }
    const sequence = Math.max(clock.now(), row.sequence + 1);
    const granted = [...farmers].slice(0, MAX_FARMERS);
    await store.changeGrant(row.id, (known) => ({
      ...known,
      farmers: granted,
      sequence,
      // It may have been taken back since, and these were not among those to be told then.
      untold: known.state === 'open' ? known.untold : granted,
    }));
    const { bucket, prefix, created, expires, objects, list } = row;
    const sealed = await sealSharePage({
      keys: grantKeys,
      page: 0,
      renter: keys.identity,
      object: headOfShared(manifest, { ...row, name: 'catalogue', perPage }),
      grant: { bucket, prefix, created, expires, objects, list },
      expires: row.grantedUntil,
      reads: row.reads,
      segments,
    });
    await network.join();
    await placeShareRecord(this.core, signShareRecord(owner, 0, sequence, sealed), signal);
    await store.changeGrant(row.id, (known) =>
      known.state === 'open' ? { ...known, placed: clock.now(), catalogueDigest } : known,
    );
    // It may have been taken back meanwhile, and this record may have come after the one that says so.
    const now = await store.grant(row.id);
    if (now !== undefined && now.state !== 'open') await this.placeEnded(now, signal);
  }

  private async placeEnded(row: GrantRow, signal: AbortSignal): Promise<void> {
    const { store, keys, clock, network } = this.core;
    const { owner, secret } = keys.grant(fromHex(row.id));
    const sequence = Math.max(clock.now(), row.sequence + 1);
    await store.changeGrant(row.id, (known) => ({ ...known, sequence }));
    const grantKeys = grantKeysOf(owner.nodeId, secret);
    const sealed = await sealEndedPage(grantKeys, 0, 'revoked', row.ended!);
    await network.join();
    await placeShareRecord(this.core, signShareRecord(owner, 0, sequence, sealed), signal);
    await store.changeGrant(row.id, (known) => ({ ...known, placed: clock.now() }));
  }

  private async tell(row: GrantRow, signal: AbortSignal): Promise<void> {
    const { store, keys } = this.core;
    const { owner, secret } = keys.grant(fromHex(row.id));
    const { reader } = grantKeysOf(owner.nodeId, secret);
    const revocation = { reader: reader.nodeId, until: row.grantedUntil };
    const told = await tellFarmers(this.core, revocation, row.untold, signal);
    await store.changeGrant(row.id, (known) => ({
      ...known,
      untold: known.untold.filter((farmer) => !told.has(farmer)),
    }));
  }

  private async end(row: GrantRow): Promise<void> {
    const { store, clock } = this.core;
    const now = (await store.grant(row.id)) ?? row;
    const untold = await this.holders(now);
    const ended = { state: 'revoked', ended: clock.now(), untold, placed: 0 } as const;
    await store.changeGrant(row.id, (known) => ({ ...known, ...ended }), true);
  }

  /** Once a record was placed nothing but its last catalogue is needed. */
  private async settle(id: string, signal: AbortSignal): Promise<void> {
    const row = await this.core.store.grant(id);
    if (row === undefined || row.placed === 0) return;
    await this.dropCatalogues(row, row.state === 'open' ? row.catalogues.slice(-1) : [], signal);
  }

  /** Delete the catalogues of a grant but some, those of broken-off attempts among them. */
  private async dropCatalogues(
    row: GrantRow,
    kept: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const { store } = this.core;
    const contracts = new Set<string>();
    const mine = await all(store.manifests(INDEX_BUCKET, '', `${CATALOGUE}${row.id}-`));
    for (const { bucket, name, objectId } of mine) {
      if (kept.includes(name)) continue;
      for await (const { shards } of store.segments(objectId)) {
        for (const { contract } of shards) contracts.add(contract);
      }
      await store.removeObject({ bucket, name });
    }
    if (row.catalogues.length !== kept.length) {
      await store.changeGrant(row.id, (known) => ({ ...known, catalogues: kept }));
    }
    if (contracts.size > 0) await this.parts.collect(signal, contracts);
  }

  /** Farmers that were granted it, and those that have shards of what is in the scope now. */
  private async holders({ bucket, prefix, farmers }: GrantRow): Promise<string[]> {
    const { store } = this.core;
    const found = new Set(farmers);
    for await (const { objectId } of store.manifests(bucket, '', prefix)) {
      for await (const { shards } of store.segments(objectId)) {
        for (const { farmer } of shards) found.add(farmer);
      }
    }
    return [...found].slice(0, MAX_FARMERS);
  }

  private async digestOf({ bucket, prefix, grantedUntil }: GrantRow): Promise<string> {
    const { store } = this.core;
    let digest = `${grantedUntil}`;
    for await (const { objectId } of store.manifests(bucket, '', prefix)) {
      digest = toHex(sha256(utf8(`${digest}/${objectId}/${await placesOf(store, objectId)}`)));
    }
    return digest;
  }

  private catalogue(name: string): Promise<Manifest | undefined> {
    return this.core.store.manifest({ bucket: INDEX_BUCKET, name });
  }

  private infoOf(row: GrantRow): AccessGrantInfo {
    const { keys, clock } = this.core;
    const { owner, secret } = keys.grant(fromHex(row.id));
    const { id, bucket, prefix, created, expires, reads, objects, grantedUntil, placed } = row;
    return {
      id,
      bucket,
      prefix,
      created,
      expires,
      reads,
      state: row.state === 'open' && isOver(row, clock.now()) ? 'expired' : row.state,
      objects,
      grantedUntil,
      untold: row.untold.length,
      placed,
      link: { grant: owner.nodeId, secret },
    };
  }
}

/** Of where an object's shards are. */
async function placesOf(store: RenterStore, objectId: string): Promise<string> {
  let digest = '';
  for await (const { index, shards } of store.segments(objectId)) {
    const places = shards.map(({ contract }) => contract).join();
    digest = toHex(sha256(utf8(`${digest}/${index}/${places}`)));
  }
  return digest;
}
