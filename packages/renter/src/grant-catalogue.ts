import { gunzip, gunzipStream, gzip, gzipStream } from '#renter/compression';
import { type Identity, fromUtf8, utf8 } from '@granary/kad';
import { type Manifest, type SegmentRecord, fromHex } from '@granary/protocol';
import { z } from 'zod';
import { RenterError } from './errors.js';
import type { GrantRow } from './records.js';
import { type RenterCore, frameOf } from './renter-core.js';
import { segmentKey } from './segment-cipher.js';
import {
  type SharePart,
  damaged,
  headOfShared,
  makePart,
  objectSchema,
  partSchema,
  segmentsPerPage,
} from './share-pages.js';
import { textLines } from './text-lines.js';

// The catalogue of an access grant: an object of its own. First come pages, which say where segments are,
// each packed alone, so that a reader fetches those that it needs; then the list of objects, which says
// where their pages are.

/** The most objects in the scope of an access grant. */
export const MAX_GRANT_OBJECTS = 50_000;
/** The most bytes of a list, and of a page, when they are unpacked. */
const MAX_LIST = 64 * 1024 * 1024;
const MAX_PAGE = 2 * 1024 * 1024;
/** The most characters of a line of a list. */
const MAX_LINE = 256 * 1024;
/** The most pages of one object in a catalogue. */
const MAX_PAGES = 4096;

const lineSchema = z.strictObject({
  object: objectSchema,
  /** Where in the catalogue its pages begin. */
  at: z.number().int().min(0),
  /** How long each is. */
  pages: z.array(z.number().int().min(1).max(MAX_PAGE)).max(MAX_PAGES),
});
/** One object in the scope of an access grant. */
export type CatalogueLine = z.infer<typeof lineSchema>;

/** What became of a catalogue that was written. */
export interface CatalogueMade {
  /** Objects in it. */
  objects: number;
  /** Where its list begins. */
  list: number;
}

/**
 * A catalogue of what is in a grant's scope now, as it is made: keys of these segments, leave for the reader
 * to read these shards, and nothing else.
 *
 * @param made - is told of the catalogue as it grows
 * @throws RenterError RENTER_SHARE when there is too much in the scope.
 */
export async function* writeCatalogue(
  core: Pick<RenterCore, 'store' | 'keys' | 'settings'>,
  row: GrantRow,
  reader: Identity,
  made: CatalogueMade,
): AsyncGenerator<Uint8Array> {
  const { store, settings } = core;
  const lines: CatalogueLine[] = [];
  let at = 0;
  for await (const manifest of store.manifests(row.bucket, '', row.prefix)) {
    if (lines.length >= MAX_GRANT_OBJECTS) throw tooMuch(`${MAX_GRANT_OBJECTS} objects`);
    const perPage = segmentsPerPage(settings.sharePageBytes, manifest.scheme.n);
    const object = headOfShared(manifest, { ...row, name: manifest.name, perPage });
    const line = { object, at, pages: [] as number[] };
    for await (const page of pagesOf(core, row, reader, manifest, perPage)) {
      const packed = await gzip(utf8(JSON.stringify(page)));
      yield packed;
      at += packed.length;
      line.pages.push(packed.length);
      if (line.pages.length > MAX_PAGES) throw tooMuch(`an object of ${MAX_PAGES} pages`);
    }
    lines.push(line);
  }
  made.objects = lines.length;
  made.list = at;
  const texts = async function* () {
    for (const line of lines) yield utf8(`${JSON.stringify(line)}\n`);
    // What is packed is never nothing.
    if (lines.length === 0) yield utf8('\n');
    await Promise.resolve();
  };
  yield* gzipStream(texts());
}

async function* pagesOf(
  core: Pick<RenterCore, 'store' | 'keys' | 'settings'>,
  { grantedUntil, reads }: GrantRow,
  reader: Identity,
  manifest: Manifest,
  perPage: number,
): AsyncGenerator<SharePart> {
  const frame = frameOf(core, manifest);
  let segments: { record: SegmentRecord; key: Uint8Array }[] = [];
  const page = () => {
    const renter = core.keys.identity;
    const part = makePart({ reader, renter, expires: grantedUntil, reads, segments });
    segments = [];
    return part;
  };
  for await (const record of core.store.segments(manifest.objectId)) {
    segments.push({ record, key: segmentKey(frame.objectKey, fromHex(record.salt)) });
    if (segments.length === perPage) yield page();
  }
  if (segments.length > 0) yield page();
}

function tooMuch(what: string): RenterError {
  return new RenterError(
    'RENTER_SHARE',
    `there is too much in the scope of this access grant (more than ${what}): grant a smaller one`,
  );
}

/**
 * Read the list of a catalogue. Its owner need not be trusted: what does not fit is refused.
 *
 * @param prefix - what every name must begin with
 * @throws RenterError RENTER_SHARE, and what the bytes' source throws.
 */
export async function readList(
  packed: AsyncIterable<Uint8Array>,
  prefix: string,
): Promise<CatalogueLine[]> {
  const failed: { error?: unknown } = {};
  const source = async function* () {
    try {
      yield* packed;
    } catch (error) {
      failed.error = error;
      throw error;
    }
  };
  const bounded = async function* () {
    let bytes = 0;
    for await (const piece of gunzipStream(source())) {
      bytes += piece.length;
      if (bytes > MAX_LIST) throw damaged();
      yield piece;
    }
  };
  const lines: CatalogueLine[] = [];
  try {
    for await (const text of textLines(bounded(), MAX_LINE)) {
      if (text === '') continue;
      const line = lineSchema.parse(JSON.parse(text));
      const { name, segments, perPage } = line.object;
      const fits = name.startsWith(prefix) && line.pages.length === Math.ceil(segments / perPage);
      if (!fits || lines.length >= MAX_GRANT_OBJECTS) throw damaged();
      lines.push(line);
    }
  } catch (error) {
    if (failed.error !== undefined) throw failed.error;
    throw error instanceof RenterError ? error : damaged(error);
  }
  return lines;
}

/** Read one page of a catalogue. @throws RenterError RENTER_SHARE. */
export async function readPage(packed: Uint8Array): Promise<SharePart> {
  try {
    return partSchema.parse(JSON.parse(fromUtf8(await gunzip(packed, MAX_PAGE))));
  } catch (error) {
    throw damaged(error);
  }
}
