import { readContentToFile } from '#renter/local-files';
import { type ShareLink, parseShareLink } from '@granary/protocol';
import { RenterError } from './errors.js';
import { type SegmentedObject, checkRange, readSegments } from './object-download.js';
import type { FileTarget } from './put-source.js';
import type { GetOptions, OnProgress } from './renter-types.js';
import { NotEnoughShards } from './segment-download.js';
import {
  type SharePage,
  type SharedObjectHead,
  type SharedSegment,
  layoutOfShared,
  openSharePage,
  shareKeysOf,
} from './share-pages.js';
import { ShareReader, type SharedObjectParts } from './share-reader.js';
import { ended, expired, explain, isRefusal } from './share-trouble.js';

/** What a link leads to. Times are milliseconds since the epoch. */
export interface SharedObjectInfo {
  /** The object's own name, without what was before it. It comes from the owner: treat it as such. */
  readonly name: string;
  readonly size: number;
  /** Of the whole content, in hex. */
  readonly sha256: string;
  /** When the object was stored. */
  readonly stored: number;
  /** When it was shared. */
  readonly shared: number;
  /** When the link ends; null when it has no end of its own. */
  readonly expires: number | null;
}

/** Pages kept in memory. */
const MAX_PAGES = 16;
/** Between two looks for a newer page, in milliseconds. */
const LOOK_AGAIN_MS = 5_000;

interface KeptPage {
  readonly sequence: number;
  readonly at: number;
  readonly page: Extract<SharePage, { kind: 'open' }>;
}

/**
 * Open a share link: no account, no keys, nothing kept. The node that does so is a new one; farmers it
 * meets with the identity that comes from the link.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED for a link that is none; RenterError
 * RENTER_NETWORK_UNREACHABLE, RENTER_NOT_FOUND, RENTER_SHARE, RENTER_SHARE_ENDED or
 * RENTER_SHARE_EXPIRED.
 */
export async function openShare(
  link: string | Pick<ShareLink, 'share' | 'secret' | 'addresses'>,
  parts: SharedObjectParts = {},
): Promise<SharedObject> {
  return SharedObject.open(typeof link === 'string' ? parseShareLink(link) : link, parts);
}

/** An object that is read by a link. */
export class SharedObject {
  private readonly pages = new Map<number, KeptPage>();
  private readonly loading = new Map<number, Promise<KeptPage>>();
  private head!: SharedObjectHead;

  private constructor(private readonly reader: ShareReader) {}

  /** See {@link openShare}. */
  static async open(
    { share, secret, addresses }: Pick<ShareLink, 'share' | 'secret' | 'addresses'>,
    parts: SharedObjectParts,
  ): Promise<SharedObject> {
    const keys = shareKeysOf(share, secret);
    const reader = await ShareReader.open(share, keys, addresses, parts);
    const shared = new SharedObject(reader);
    try {
      const { page } = await shared.pageOf(0, reader.signalOf(parts.signal));
      // The first page always says what is shared: it was checked when it was opened.
      shared.head = page.object!;
      return shared;
    } catch (error) {
      await shared.close();
      throw error;
    }
  }

  /** What the link leads to. */
  get info(): SharedObjectInfo {
    const { name, size, sha256, stored, shared, expires } = this.head;
    return { name, size, sha256, stored, shared, expires };
  }

  /**
   * Read the object, or a range of it. Every byte was verified before it is handed out. Stopping the
   * iteration stops the transfers.
   *
   * @throws RenterError RENTER_RANGE, RENTER_NOT_ENOUGH_SHARDS, RENTER_SHARE_ENDED,
   * RENTER_SHARE_EXPIRED, RENTER_SHARE_LIMIT, …
   */
  read(options: GetOptions = {}): AsyncGenerator<Uint8Array> {
    return this.readRange(options, false);
  }

  private async *readRange(options: GetOptions, patient: boolean): AsyncGenerator<Uint8Array> {
    const { head } = this;
    const offset = options.offset ?? 0;
    const length = options.length ?? head.size - offset;
    checkRange(head, offset, length);
    this.checkTime();
    const signal = this.reader.signalOf(options.signal);
    const object: SegmentedObject = {
      layout: layoutOfShared(head),
      segmentBytes: head.segmentBytes,
      segment: (index) => this.segment(index, signal),
      moved: (index, error) => this.moved(index, error, signal),
    };
    const range = { offset, length, patient };
    yield* readSegments(this.reader.core, object, range, options.onProgress, signal);
  }

  /**
   * Read the object into a new file. The file appears whole, under its name, or not at all. A read that was
   * cut off goes on with what is there, and the whole is compared with its hash.
   *
   * @throws RenterError as {@link SharedObject.read}, RENTER_SHARE and RENTER_DESTINATION.
   */
  readToFile(
    file: string | FileTarget,
    options: Omit<GetOptions, 'offset' | 'length'> = {},
  ): Promise<{ resumedBytes: number }> {
    const { size, sha256, segmentBytes } = this.head;
    const read = (offset: number, length: number, onProgress?: OnProgress) =>
      this.readRange(
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
    const { expires } = this.head;
    if (expires !== null && expires <= this.reader.core.clock.now()) throw expired(expires);
  }

  private async segment(index: number, signal: AbortSignal): Promise<SharedSegment> {
    const number = Math.floor(index / this.head.perPage);
    const { page } = await this.pageOf(number, signal);
    const segment = page.segments.get(index);
    if (segment === undefined) {
      throw new RenterError('RENTER_SHARE', `the share does not say where segment ${index} is`);
    }
    return segment;
  }

  /** Repairs may have moved shards: look whether the owner has said so, or why there is nothing more. */
  private async moved(index: number, error: unknown, signal: AbortSignal): Promise<boolean> {
    if (!(error instanceof NotEnoughShards)) return false;
    this.checkTime();
    const number = Math.floor(index / this.head.perPage);
    const before = this.pages.get(number);
    const { clock } = this.reader.core;
    if (before === undefined || clock.now() - before.at >= LOOK_AGAIN_MS || isRefusal(error)) {
      // The first page says it when the share came to its end.
      if (number !== 0) await this.load(0, signal);
      const now = await this.load(number, signal);
      if (now.sequence > (before?.sequence ?? 0)) return true;
    }
    const why = explain(error);
    if (why !== undefined) throw why;
    return false;
  }

  private async pageOf(number: number, signal: AbortSignal): Promise<KeptPage> {
    return this.pages.get(number) ?? this.load(number, signal);
  }

  /** Fetch a page; those who want it at one time share the work. */
  private load(number: number, signal: AbortSignal): Promise<KeptPage> {
    const running = this.loading.get(number);
    if (running !== undefined) return running;
    const task = this.fetchPage(number, signal).finally(() => this.loading.delete(number));
    this.loading.set(number, task);
    return task;
  }

  private async fetchPage(number: number, signal: AbortSignal): Promise<KeptPage> {
    const record = await this.reader.find(number, signal);
    const page = await openSharePage(this.reader.keys, record, this.head);
    if (page.kind === 'ended') throw ended(page.why, page.at);
    const { object } = page;
    if (number === 0 && object !== undefined) {
      const { expires } = object;
      if (expires !== null && expires <= this.reader.core.clock.now()) throw expired(expires);
    }
    const kept = { sequence: record.body.sequence, at: this.reader.core.clock.now(), page };
    if (this.pages.size >= MAX_PAGES) this.pages.delete(this.pages.keys().next().value!);
    this.pages.set(number, kept);
    return kept;
  }
}
