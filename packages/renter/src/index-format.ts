import { gunzip, gunzipStream, gzip, gzipStream } from '#renter/compression';
import { z } from 'zod';
import { fromBase64, fromUtf8, utf8 } from '@granary/kad';
import {
  type Manifest,
  type RootRecord,
  type SegmentRecord,
  parseManifest,
  parseSegmentRecord,
} from '@granary/protocol';
import { RenterError } from './errors.js';
import type { RenterKeys } from './renter-keys.js';
import { INDEX_BUCKET } from './record-keys.js';
import type { RenterStore } from './renter-store.js';
import { parseGrantRow } from './grant-rows.js';
import type { GrantRow, ShareRow } from './records.js';
import { parseShareRow } from './share-rows.js';
import { sealBytes, unsealBytes } from './sealed-box.js';
import { textLines } from './text-lines.js';

/**
 * One line of the index. Applied in order, the lines of its parts and of the root record give the
 * renter's manifests and shares: an object, a segment of one, or that there is nothing of a name any more; a
 * share or access grant, or that it is no more.
 */
export type IndexLine =
  | { readonly t: 'object'; readonly manifest: Manifest }
  | { readonly t: 'segment'; readonly objectId: string; readonly segment: SegmentRecord }
  | { readonly t: 'gone'; readonly bucket: string; readonly name: string }
  | { readonly t: 'share'; readonly share: ShareRow }
  | { readonly t: 'unshared'; readonly id: string }
  | { readonly t: 'grant'; readonly grant: GrantRow }
  | { readonly t: 'ungranted'; readonly id: string };

const lineSchema = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('object'), manifest: z.unknown() }),
  z.strictObject({ t: z.literal('segment'), objectId: z.string(), segment: z.unknown() }),
  z.strictObject({ t: z.literal('gone'), bucket: z.string(), name: z.string() }),
  z.strictObject({ t: z.literal('share'), share: z.unknown() }),
  z.strictObject({ t: z.literal('unshared'), id: z.string() }),
  z.strictObject({ t: z.literal('grant'), grant: z.unknown() }),
  z.strictObject({ t: z.literal('ungranted'), id: z.string() }),
]);

function parseLine(value: unknown): IndexLine {
  const line = lineSchema.parse(value);
  if (line.t === 'object') return { t: 'object', manifest: parseManifest(line.manifest) };
  if (line.t === 'gone' || line.t === 'unshared' || line.t === 'ungranted') return line;
  if (line.t === 'share') return { t: 'share', share: parseShareRow(line.share) };
  if (line.t === 'grant') return { t: 'grant', grant: parseGrantRow(line.grant) };
  return { ...line, segment: parseSegmentRecord(line.segment) };
}

/** Lines for all that changed after log entry `from` up to `to`; for everything when `from` is 0. */
export async function* indexLines(
  store: RenterStore,
  from: number,
  to: number,
): AsyncGenerator<IndexLine> {
  if (from === 0) {
    for await (const manifest of store.allManifests()) {
      if (manifest.bucket !== INDEX_BUCKET) yield* objectLines(store, manifest);
    }
    for await (const share of store.shares()) yield { t: 'share', share };
    for await (const grant of store.grants()) yield { t: 'grant', grant };
    return;
  }
  const done = new Set<string>();
  for await (const [, change] of store.log(from, to)) {
    if (change.op === 'root') continue;
    if (change.op === 'share') {
      const share = await store.share(change.id);
      yield share === undefined ? { t: 'unshared', id: change.id } : { t: 'share', share };
      continue;
    }
    if (change.op === 'grant') {
      const grant = await store.grant(change.id);
      yield grant === undefined ? { t: 'ungranted', id: change.id } : { t: 'grant', grant };
      continue;
    }
    const { bucket, name } = change;
    const manifest = await store.manifest({ bucket, name });
    if (change.op === 'object') {
      if (done.has(`${bucket}/${name}`)) continue;
      done.add(`${bucket}/${name}`);
      if (manifest === undefined) yield { t: 'gone', bucket, name };
      else yield* objectLines(store, manifest);
    } else if (manifest?.objectId === change.objectId) {
      const segment = await store.segment(change.objectId, change.index);
      if (segment !== undefined) yield { t: 'segment', objectId: change.objectId, segment };
    }
  }
}

async function* objectLines(store: RenterStore, manifest: Manifest): AsyncGenerator<IndexLine> {
  yield { t: 'object', manifest };
  for await (const segment of store.segments(manifest.objectId)) {
    yield { t: 'segment', objectId: manifest.objectId, segment };
  }
}

/** Lines as compressed bytes, as they are made. */
export async function* packLines(
  lines: Iterable<IndexLine> | AsyncIterable<IndexLine>,
): AsyncGenerator<Uint8Array> {
  const texts = async function* () {
    for await (const line of lines) yield utf8(`${JSON.stringify(line)}\n`);
  };
  yield* gzipStream(texts());
}

/** The lines in compressed bytes. @throws RenterError RENTER_INDEX, and what the bytes' source throws. */
export async function* unpackLines(packed: AsyncIterable<Uint8Array>): AsyncGenerator<IndexLine> {
  // Whether what fails is the source, or what it gave.
  const failed: { error?: unknown } = {};
  const source = async function* () {
    try {
      yield* packed;
    } catch (error) {
      failed.error = error;
      throw error;
    }
  };
  try {
    for await (const text of textLines(gunzipStream(source()))) yield parseText(text);
  } catch (error) {
    if (failed.error !== undefined) throw failed.error;
    throw error instanceof RenterError ? error : damaged(error);
  }
}

function parseText(text: string): IndexLine {
  try {
    return parseLine(JSON.parse(text));
  } catch (error) {
    throw damaged(error);
  }
}

function damaged(cause: unknown): RenterError {
  return new RenterError('RENTER_INDEX', 'the index in the network is damaged', { cause });
}

const partSchema = z.strictObject({
  manifest: z.unknown(),
  segments: z.array(z.unknown()),
});
const rootSchema = z.strictObject({
  version: z.literal(1),
  covered: z.number().int().min(0),
  parts: z.array(partSchema),
  lines: z.array(z.unknown()),
});

/** What a root record says, opened: where the parts of the index are, and the lines after them. */
export interface IndexRoot {
  readonly version: 1;
  /** The last change that it covers. */
  readonly covered: number;
  readonly parts: readonly {
    readonly manifest: Manifest;
    readonly segments: readonly SegmentRecord[];
  }[];
  readonly lines: readonly IndexLine[];
}

/** The most bytes that a root may have when it is unpacked. */
const MAX_UNPACKED = 64 * 1024 * 1024;

/** What a root record says, compressed. @param lines - {@link IndexLine}s, each in JSON */
export function packRoot(
  { covered, parts }: Pick<IndexRoot, 'covered' | 'parts'>,
  lines: readonly string[],
): Promise<Uint8Array> {
  const head = JSON.stringify({ version: 1, covered, parts });
  return gzip(utf8(`${head.slice(0, -1)},"lines":[${lines.join(',')}]}`));
}

/** Seal what {@link packRoot} gave. */
export function sealRoot(keys: RenterKeys, packed: Uint8Array): Uint8Array {
  return sealBytes(keys.rootKey, 'root', packed);
}

/** Open a root record. @throws RenterError RENTER_STORE or RENTER_INDEX. */
export async function openRoot(keys: RenterKeys, record: RootRecord): Promise<IndexRoot> {
  try {
    const sealed = fromBase64(record.body.sealed);
    const packed = unsealBytes(keys.rootKey, 'root', sealed);
    const text = fromUtf8(await gunzip(packed, MAX_UNPACKED));
    const root = rootSchema.parse(JSON.parse(text));
    return {
      ...root,
      parts: root.parts.map(({ manifest, segments }) => ({
        manifest: parseManifest(manifest),
        segments: segments.map(parseSegmentRecord),
      })),
      lines: root.lines.map(parseLine),
    };
  } catch (error) {
    if (error instanceof RenterError) throw error;
    throw damaged(error);
  }
}
