import { readContentToFile } from '#renter/local-files';
import { type AccessGrant, parseAccessGrant } from '@granary/protocol';
import { all } from './all.js';
import { RenterError } from './errors.js';
import { type CatalogueLine, readList, readPage } from './grant-catalogue.js';
import { type SegmentedObject, checkRange, readSegments } from './object-download.js';
import type { FileTarget } from './put-source.js';
import type { GetOptions, ObjectSummary, OnProgress } from './renter-types.js';
import { NotEnoughShards } from './segment-download.js';
import {
  type GrantHead,
  type SharePage,
  type SharedSegment,
  damaged,
  grantKeysOf,
  layoutOfShared,
  openPart,
  openSharePage,
} from './share-pages.js';
import { ShareReader, type SharedObjectParts } from './share-reader.js';
import { ended, expired, explain } from './share-trouble.js';

/** What an access grant is of. Times are milliseconds since the epoch. */
export interface GrantedScopeInfo {
  readonly bucket: string;
  /** What names in it begin with; all of the bucket when it is empty. */
  readonly prefix: string;
  readonly created: number;
  /** When the grant ends; null when it has no end of its own. */
  readonly expires: number | null;
  /** Objects in it, when it was last looked at. */
  readonly objects: number;
}

/** Pages of the catalogue kept in memory. */
const MAX_PAGES = 32;

/** A catalogue as it was at one time. */
interface Catalogue {
  readonly sequence: number;
  readonly head: GrantHead;
  readonly page: Extract<SharePage, { kind: 'open' }>;
  readonly lines: readonly CatalogueLine[];
  readonly byName: ReadonlyMap<string, CatalogueLine>;
  /** Where segments are, by the place of the page that says so. */
  readonly pages: Map<number, Promise<ReadonlyMap<number, SharedSegment>>>;
}

/**
 * Sign in by an access grant: no account, no words, nothing kept. What it is of can be listed and read, and
 * nothing else.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED for a text that is none; RenterError
 * RENTER_NETWORK_UNREACHABLE, RENTER_NOT_FOUND, RENTER_SHARE, RENTER_SHARE_ENDED or
 * RENTER_SHARE_EXPIRED.
 */
export async function openGrant(
  grant: string | Pick<AccessGrant, 'grant' | 'secret' | 'addresses'>,
  parts: SharedObjectParts = {},
): Promise<GrantedScope> {
  return GrantedScope.open(typeof grant === 'string' ? parseAccessGrant(grant) : grant, parts);
}

/** What somebody with an access grant sees: objects of one bucket, those that come later, too. */
export class GrantedScope {
  private catalogue!: Catalogue;
  private refreshing: Promise<boolean> | undefined;

  private constructor(private readonly reader: ShareReader) {}

  /** See {@link openGrant}. */
  static async open(
    { grant, secret, addresses }: Pick<AccessGrant, 'grant' | 'secret' | 'addresses'>,
    parts: SharedObjectParts,
  ): Promise<GrantedScope> {
    const reader = await ShareReader.open(grant, grantKeysOf(grant, secret), addresses, parts);
    const scope = new GrantedScope(reader);
    try {
      await scope.look(reader.signalOf(parts.signal));
      return scope;
    } catch (error) {
      await scope.close();
      throw error;
    }
  }

  /** What it is of. */
  get info(): GrantedScopeInfo {
    const { bucket, prefix, created, expires } = this.catalogue.head;
    return { bucket, prefix, created, expires, objects: this.catalogue.lines.length };
  }

  /** Nodes of the network that are known here. */
  get nodes(): number {
    return this.reader.nodes;
  }

  /**
   * Look whether something has come or gone.
   *
   * @returns whether there is a newer list
   * @throws RenterError as {@link openGrant}.
   */
  refresh(): Promise<boolean> {
    // Several may wait for it, of whom one may give up.
    this.refreshing ??= this.look(this.reader.signalOf(undefined)).finally(
      () => (this.refreshing = undefined),
    );
    return this.refreshing;
  }

  /** Objects in order of name. `after` is a name that the listing begins behind. */
  *list(
    options: { prefix?: string; after?: string; limit?: number } = {},
  ): Generator<ObjectSummary> {
    this.checkTime();
    const { prefix = '', after = '', limit = Infinity } = options;
    let count = 0;
    for (const { object } of this.catalogue.lines) {
      const { name } = object;
      if (!name.startsWith(prefix) || (after !== '' && compare(name, after) <= 0)) continue;
      if (count++ >= limit) return;
      yield summaryOf(object);
    }
  }

  /** What a listing says of one object. @throws RenterError RENTER_NOT_FOUND, RENTER_SHARE_EXPIRED. */
  head(name: string): ObjectSummary {
    this.checkTime();
    return summaryOf(this.lineOf(name).object);
  }

  /**
   * Read an object, or a range of it. Every byte was verified before it is handed out. Stopping the
   * iteration stops the transfers.
   *
   * @throws RenterError RENTER_NOT_FOUND, RENTER_RANGE, RENTER_NOT_ENOUGH_SHARDS, RENTER_SHARE_ENDED,
   * RENTER_SHARE_EXPIRED, RENTER_SHARE_LIMIT, …
   */
  get(name: string, options: GetOptions = {}): AsyncGenerator<Uint8Array> {
    return this.readRange(name, options, false);
  }

  private async *readRange(
    name: string,
    options: GetOptions,
    patient: boolean,
  ): AsyncGenerator<Uint8Array> {
    this.checkTime();
    const signal = this.reader.signalOf(options.signal);
    const { object } = this.lineOf(name);
    const offset = options.offset ?? 0;
    const length = options.length ?? object.size - offset;
    checkRange(object, offset, length);
    const segmented: SegmentedObject = {
      layout: layoutOfShared(object),
      segmentBytes: object.segmentBytes,
      segment: (index) => this.segmentOf(name, object.sha256, index, signal),
      moved: (_index, error) => this.moved(error),
    };
    const { onProgress, onShard } = options;
    yield* readSegments(
      this.reader.core,
      segmented,
      { offset, length, patient },
      onProgress,
      signal,
      onShard,
    );
  }

  /**
   * Read an object into a new file. The file appears whole, under its name, or not at all. A read that was
   * cut off goes on with what is there, and the whole is compared with its hash.
   *
   * @throws RenterError as {@link GrantedScope.get}, RENTER_SHARE and RENTER_DESTINATION.
   */
  getToFile(
    name: string,
    file: string | FileTarget,
    options: Omit<GetOptions, 'offset' | 'length'> = {},
  ): Promise<{ resumedBytes: number }> {
    const { size, sha256, segmentBytes } = this.lineOf(name).object;
    const read = (offset: number, length: number, onProgress?: OnProgress) =>
      this.readRange(
        name,
        { ...options, offset, length, ...(onProgress !== undefined && { onProgress }) },
        true,
      );
    return readContentToFile({ size, sha256, segmentBytes, read }, file, options.onProgress);
  }

  /** Stop what is under way and free everything. */
  close(): Promise<void> {
    return this.reader.close();
  }

  private checkTime(): void {
    const { expires } = this.catalogue.head;
    if (expires !== null && expires <= this.reader.core.clock.now()) throw expired(expires);
  }

  private lineOf(name: string): CatalogueLine {
    const line = this.catalogue.byName.get(name);
    if (line !== undefined) return line;
    const { bucket, prefix } = this.catalogue.head;
    const outside = name.startsWith(prefix)
      ? ''
      : `, and the access grant is of ${bucket}/${prefix}`;
    throw new RenterError('RENTER_NOT_FOUND', `there is no object ${bucket}/${name}${outside}`);
  }

  /** Where a segment is now, of the version that is being read. */
  private async segmentOf(
    name: string,
    sha256: string,
    index: number,
    signal: AbortSignal,
  ): Promise<SharedSegment> {
    try {
      return await this.segmentIn(this.catalogue, name, sha256, index);
    } catch (error) {
      // The catalogue itself may have been replaced by a newer one.
      if (signal.aborted || !(error instanceof NotEnoughShards)) throw error;
      if (!(await this.moved(error))) throw error;
      return this.segmentIn(this.catalogue, name, sha256, index);
    }
  }

  private async segmentIn(
    catalogue: Catalogue,
    name: string,
    sha256: string,
    index: number,
  ): Promise<SharedSegment> {
    const { object, at, pages } = this.lineOf(name);
    if (object.sha256 !== sha256) {
      throw new RenterError('RENTER_SHARE_ENDED', `${name} was replaced by another version`);
    }
    const number = Math.floor(index / object.perPage);
    const from = pages.slice(0, number).reduce((sum, length) => sum + length, at);
    let page = catalogue.pages.get(from);
    if (page === undefined) {
      page = this.load(catalogue, from, pages[number] ?? 0, object);
      page.catch(() => catalogue.pages.delete(from));
      if (catalogue.pages.size >= MAX_PAGES) {
        catalogue.pages.delete(catalogue.pages.keys().next().value!);
      }
      catalogue.pages.set(from, page);
    }
    const segment = (await page).get(index);
    if (segment === undefined) throw damaged();
    return segment;
  }

  private async load(
    { page }: Pick<Catalogue, 'page'>,
    offset: number,
    length: number,
    object: CatalogueLine['object'],
  ): Promise<ReadonlyMap<number, SharedSegment>> {
    // Others may wait for it, too.
    const signal = this.reader.signalOf(undefined);
    const pieces = await all(this.readCatalogue(page, offset, length, signal));
    const packed = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      packed.set(piece, at);
      at += piece.length;
    }
    return openPart(await readPage(packed), object, this.reader.keys.reader);
  }

  private readCatalogue(
    page: Catalogue['page'],
    offset: number,
    length: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    // The page always says so: it was checked when it was opened.
    const object = page.object!;
    if (offset + length > object.size) throw damaged();
    const segmented: SegmentedObject = {
      layout: layoutOfShared(object),
      segmentBytes: object.segmentBytes,
      segment: (index) => {
        const segment = page.segments.get(index);
        return segment === undefined ? Promise.reject(damaged()) : Promise.resolve(segment);
      },
    };
    return readSegments(this.reader.core, segmented, { offset, length }, undefined, signal);
  }

  /** Something could not be read: whether it may be elsewhere by now. */
  private async moved(error: unknown): Promise<boolean> {
    if (!(error instanceof NotEnoughShards)) return false;
    this.checkTime();
    if (await this.refresh()) return true;
    const why = explain(error);
    if (why !== undefined) throw why;
    return false;
  }

  private async look(signal: AbortSignal): Promise<boolean> {
    const before = (this.catalogue as Catalogue | undefined)?.sequence ?? 0;
    const record = await this.reader.find(0, signal);
    const page = await openSharePage(this.reader.keys, record);
    if (page.kind === 'ended') throw ended(page.why, page.at);
    const { grant: head, object } = page;
    if (head === undefined || object === undefined || head.list > object.size) throw damaged();
    const { expires } = head;
    if (expires !== null && expires <= this.reader.core.clock.now()) throw expired(expires);
    const { sequence } = record.body;
    if (sequence <= before) return false;
    const bytes = this.readCatalogue(page, head.list, object.size - head.list, signal);
    const lines = await readList(bytes, head.prefix).catch((error: unknown) => {
      throw error instanceof NotEnoughShards ? (explain(error) ?? error) : error;
    });
    lines.sort((a, b) => compare(a.object.name, b.object.name));
    const byName = new Map(lines.map((line) => [line.object.name, line]));
    this.catalogue = { sequence, head, page, lines, byName, pages: new Map() };
    return true;
  }
}

/** The order of a renter's store: by code points. */
function compare(a: string, b: string): number {
  if (a === b) return 0;
  const [left, right] = [a[Symbol.iterator](), b[Symbol.iterator]()];
  for (;;) {
    const [one, two] = [left.next(), right.next()];
    if (one.done === true) return two.done === true ? 0 : -1;
    if (two.done === true) return 1;
    const difference = one.value.codePointAt(0)! - two.value.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
}

function summaryOf({ name, size, stored, sha256 }: CatalogueLine['object']): ObjectSummary {
  return { name, size, created: stored, sha256 };
}
