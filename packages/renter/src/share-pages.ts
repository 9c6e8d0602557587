import { gunzip, gzip } from '#renter/compression';
import { Identity, fromBase64, fromUtf8, toBase64, utf8 } from '@granary/kad';
import {
  MAX_SEGMENT_SIZE,
  MAX_SHARD_SIZE,
  type Manifest,
  type ReadGrantBody,
  type SegmentRecord,
  type ShareRecord,
  fromHex,
  layoutFields,
  readerOf,
  signReadGrant,
  toHex,
} from '@granary/protocol';
import { z } from 'zod';
import { RenterError } from './errors.js';
import type { ShareEnd } from './records.js';
import { plainSegmentSize } from './renter-core.js';
import { deriveKey } from './renter-keys.js';
import { sealBytes, unsealBytes } from './sealed-box.js';
import type { SegmentToFetch } from './segment-download.js';
import { type SegmentLayout, type SegmentToRead, shardSizeOf } from './segment-job.js';

/** The most bytes that a page may have when it is unpacked. */
const MAX_UNPACKED = 2 * 1024 * 1024;
/** The most bytes of UTF-8 in the name that a share shows. */
export const MAX_SHARED_NAME = 1024;

/** What comes from a link's secret: the key that seals its pages, and who reads. */
export interface ShareKeys {
  readonly pageKey: Uint8Array;
  readonly reader: Identity;
}

/** Derive a link's keys. */
export function shareKeysOf(share: string, secret: Uint8Array): ShareKeys {
  const salt = fromHex(share);
  return {
    pageKey: deriveKey(secret, salt, 'share page'),
    reader: Identity.fromPrivateKey(deriveKey(secret, salt, 'share reader')),
  };
}

/** Derive an access grant's keys: others than those of a share, so that the one never opens the other. */
export function grantKeysOf(grant: string, secret: Uint8Array): ShareKeys {
  const salt = fromHex(grant);
  return {
    pageKey: deriveKey(secret, salt, 'grant page'),
    reader: Identity.fromPrivateKey(deriveKey(secret, salt, 'grant reader')),
  };
}

/** Segments of which one page of about `bytes` bytes tells: as many on all pages of a share. */
export function segmentsPerPage(bytes: number, n: number): number {
  return Math.max(1, Math.floor(bytes / (120 + n * 150)));
}

const time = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const base64 = (bytes: number) =>
  z.string().refine((text) => {
    try {
      return fromBase64(text).length === bytes;
    } catch {
      return false;
    }
  }, `must be ${bytes} bytes in base64`);

/** {@link SharedObjectHead} */
export const objectSchema = z.strictObject({
  name: z.string().min(1).max(MAX_SHARED_NAME),
  size: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  stored: time,
  shared: time,
  expires: time.nullable(),
  k: z.number().int().min(1).max(256),
  n: z.number().int().min(1).max(256),
  ...layoutFields,
  segmentBytes: z.number().int().min(1).max(MAX_SEGMENT_SIZE),
  segments: z.number().int().min(0),
  perPage: z.number().int().min(1),
});
/** What is shared: the plaintext's name, size and hash, and how it is laid out. */
export type SharedObjectHead = z.infer<typeof objectSchema>;

/** What is said of an object's version to those who may read it. */
export function headOfShared(
  manifest: Manifest,
  {
    name,
    created,
    expires,
    perPage,
  }: {
    readonly name: string;
    readonly created: number;
    readonly expires: number | null;
    readonly perPage: number;
  },
): SharedObjectHead {
  const { size, sha256, scheme, chunkSize, cellSize, segments } = manifest;
  return {
    name,
    size,
    sha256,
    stored: manifest.created,
    shared: created,
    expires,
    k: scheme.k,
    n: scheme.n,
    chunkSize,
    cellSize,
    segmentBytes: plainSegmentSize(manifest),
    segments,
    perPage,
  };
}

// Index, place in the page's list of farmers, shard hash, contract, the renter's signature on the grant.
const shardSchema = z.tuple([
  z.number().int().min(0).max(255),
  z.number().int().min(0),
  base64(32),
  base64(32),
  base64(64),
]);
const segmentSchema = z.strictObject({
  index: z.number().int().min(0),
  length: z.number().int().min(1).max(MAX_SEGMENT_SIZE),
  shardSize: z.number().int().min(1).max(MAX_SHARD_SIZE),
  key: base64(32),
  shards: z.array(shardSchema).max(256),
});
/** Where some segments of an object are, as JSON: with their keys, and leave for the reader. */
export const partSchema = z.strictObject({
  /** Until when, and how often, every shard of the page may be read. */
  expires: time,
  reads: z
    .number()
    .int()
    .min(1)
    .max(2 ** 32),
  farmers: z.array(base64(32)),
  segments: z.array(segmentSchema),
});
/** {@link SharePart} */
export type SharePart = z.infer<typeof partSchema>;

const grantSchema = z.strictObject({
  bucket: z.string().min(1).max(MAX_SHARED_NAME),
  prefix: z.string().max(MAX_SHARED_NAME),
  created: time,
  expires: time.nullable(),
  objects: z.number().int().min(0),
  /** Where in the catalogue its list begins. */
  list: z.number().int().min(0),
});
/** What an access grant is of; the object of its page is the catalogue. */
export type GrantHead = z.infer<typeof grantSchema>;

const pageSchema = z.union([
  z.strictObject({
    version: z.literal(1),
    ended: z.enum(['revoked', 'deleted', 'replaced']),
    at: time,
  }),
  z.strictObject({
    version: z.literal(1),
    object: objectSchema.optional(),
    grant: grantSchema.optional(),
    part: partSchema,
  }),
]);

/** One segment as somebody needs it who reads by a grant. */
export type SharedSegment = SegmentToFetch & SegmentToRead;

/** A page of a share: that it came to its end, or where some of its segments are; the first page also of what. */
export type SharePage =
  | { readonly kind: 'ended'; readonly why: ShareEnd; readonly at: number }
  | {
      readonly kind: 'open';
      readonly object: SharedObjectHead | undefined;
      /** Of the page of an access grant. */
      readonly grant: GrantHead | undefined;
      readonly segments: ReadonlyMap<number, SharedSegment>;
    };

/** What a {@link SharePart} is made of. */
export interface PartToMake {
  /** Who gets leave. */
  readonly reader: Identity;
  /** Who has the contracts. */
  readonly renter: Identity;
  /** Until when shards may be read. */
  readonly expires: number;
  /** How often every byte may be read. */
  readonly reads: number;
  readonly segments: readonly { readonly record: SegmentRecord; readonly key: Uint8Array }[];
}

/** What a page is made of. */
export interface PageToMake extends Omit<PartToMake, 'reader'> {
  readonly keys: ShareKeys;
  readonly page: number;
  /** Of the first page alone. */
  readonly object?: SharedObjectHead;
  /** Of the page of an access grant. */
  readonly grant?: GrantHead;
}

/** How much of one shard may be read. */
const limitOf = (reads: number, shardSize: number) =>
  Math.min(Number.MAX_SAFE_INTEGER, reads * shardSize);

const b64 = (hex: string) => toBase64(fromHex(hex));
const hex = (text: string) => toHex(fromBase64(text));

/** Say where segments are, and sign leave for the reader to read each shard. */
export function makePart(parts: PartToMake): SharePart {
  const { reader, renter, expires, reads, segments } = parts;
  const farmers = new Map<string, number>();
  const place = (farmer: string) => {
    const known = farmers.get(farmer);
    if (known !== undefined) return known;
    farmers.set(farmer, farmers.size);
    return farmers.size - 1;
  };
  const listed = segments.map(({ record: { index, length, shardSize, shards }, key }) => ({
    index,
    length,
    shardSize,
    key: toBase64(key),
    shards: shards.map((shard): SharePart['segments'][number]['shards'][number] => {
      const { contract } = shard;
      const limit = limitOf(reads, shardSize);
      const grant = signReadGrant(renter, { contract, ...readerOf(reader), expires, limit });
      return [
        shard.index,
        place(shard.farmer),
        b64(shard.hash),
        b64(contract),
        b64(grant.renterSignature),
      ];
    }),
  }));
  return { expires, reads, farmers: [...farmers.keys()].map(b64), segments: listed };
}

/** Make a page: sign a grant for every shard, pack and seal. */
export async function sealSharePage({
  keys,
  page,
  object,
  grant,
  ...parts
}: PageToMake): Promise<Uint8Array> {
  const part = makePart({ ...parts, reader: keys.reader });
  return sealPage(keys, page, {
    version: 1,
    ...(object !== undefined && { object }),
    ...(grant !== undefined && { grant }),
    part,
  });
}

/** Make a page that says why the share is there no more. */
export function sealEndedPage(
  keys: ShareKeys,
  page: number,
  why: ShareEnd,
  at: number,
): Promise<Uint8Array> {
  return sealPage(keys, page, { version: 1, ended: why, at });
}

async function sealPage(keys: ShareKeys, page: number, value: unknown): Promise<Uint8Array> {
  return sealBytes(keys.pageKey, `share page ${page}`, await gzip(utf8(JSON.stringify(value))));
}

/**
 * Open a page of a share. Its owner need not be trusted: what does not fit is refused.
 *
 * @param head - what the first page says, for those behind it
 * @throws RenterError RENTER_SHARE.
 */
export async function openSharePage(
  keys: ShareKeys,
  record: ShareRecord,
  head?: SharedObjectHead,
): Promise<SharePage> {
  const { page, sealed } = record.body;
  let value: z.infer<typeof pageSchema>;
  try {
    const packed = unsealBytes(keys.pageKey, `share page ${page}`, fromBase64(sealed));
    const json: unknown = JSON.parse(fromUtf8(await gunzip(packed, MAX_UNPACKED)));
    const { version } = json as { version?: unknown };
    if (typeof version === 'number' && version > 1) {
      throw new RenterError('RENTER_SHARE', 'the share is of a newer version: update Granary');
    }
    value = pageSchema.parse(json);
  } catch (error) {
    if (error instanceof RenterError && error.code === 'RENTER_SHARE') throw error;
    throw damaged(error);
  }
  if ('ended' in value) return { kind: 'ended', why: value.ended, at: value.at };
  const object = page === 0 ? value.object : head;
  if (object === undefined) throw damaged();
  return {
    kind: 'open',
    object: value.object,
    grant: value.grant,
    segments: openPart(value.part, object, keys.reader),
  };
}

/** Where segments are, by their index. Whoever said so need not be trusted. @throws RenterError RENTER_SHARE. */
export function openPart(
  part: SharePart,
  object: SharedObjectHead,
  reader: Identity,
): ReadonlyMap<number, SharedSegment> {
  try {
    const segments = segmentsOf(part, object, reader);
    return new Map(segments.map((segment) => [segment.index, segment]));
  } catch (error) {
    throw damaged(error);
  }
}

/** How an object that is shared is laid out. */
export function layoutOfShared({ k, n, chunkSize, cellSize }: SharedObjectHead): SegmentLayout {
  return { k, n, chunkSize, cellSize };
}

function segmentsOf(
  { expires, reads, farmers, segments }: SharePart,
  object: SharedObjectHead,
  reader: Identity,
): SharedSegment[] {
  const layout = layoutOfShared(object);
  if (object.k > object.n || object.segments !== Math.ceil(object.size / object.segmentBytes)) {
    throw damaged();
  }
  return segments.map(({ index, length, shardSize, key, shards }) => {
    const last = index === object.segments - 1;
    const whole = last ? object.size - index * object.segmentBytes : object.segmentBytes;
    if (index >= object.segments || length !== whole) throw damaged();
    if (shardSize !== shardSizeOf(layout, length)) throw damaged();
    return {
      index,
      length,
      shardSize,
      key: fromBase64(key),
      shards: shards.map(([shard, farmer, hash, contract, signature]) => {
        const nodeId = farmers[farmer];
        if (nodeId === undefined || shard >= object.n) throw damaged();
        const body: ReadGrantBody = {
          contract: hex(contract),
          ...readerOf(reader),
          expires,
          limit: limitOf(reads, shardSize),
        };
        return {
          index: shard,
          hash: hex(hash),
          farmer: hex(nodeId),
          contract: body.contract,
          grant: { body, renterSignature: hex(signature) },
        };
      }),
    };
  });
}

/** What is said of bytes of a share that are not as they should be. */
export function damaged(cause?: unknown): RenterError {
  return new RenterError('RENTER_SHARE', "the share can't be read: it is damaged", { cause });
}
