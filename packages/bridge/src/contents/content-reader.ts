import type { ObjectStore } from '../metadata/metadata-store.js';
import type { Body, Extent, Sealing } from '../metadata/records.js';
import type { CustomerKey } from './customer-key.js';
import type { ContentRange, ObjectBackend } from './object-backend.js';

/** Parts that are asked for at one time. */
const PARTS_PAGE = 100;

/** Something that has a body: a version, or a part of one. */
export interface Holder {
  readonly body: Body;
  /** Bytes, as the client sees them. */
  readonly size: number;
  readonly sealing?: Sealing;
}

/** Where bodies are read from. */
export interface BodySources {
  readonly metadata: Pick<ObjectStore, 'versionParts'>;
  readonly backend: ObjectBackend;
}

/**
 * Read a run of a body, wherever its bytes are.
 *
 * @param key - the client's key, where the body is encrypted by one
 * @throws ContentGoneError where the version was replaced meanwhile and its bytes are gone;
 * CustomerSealError.
 */
export async function* readBody(
  sources: BodySources,
  { body, size, sealing }: Holder,
  range: ContentRange,
  signal: AbortSignal,
  key?: CustomerKey,
): AsyncGenerator<Uint8Array> {
  if (body.kind !== 'parts') {
    if (sealing === undefined) {
      yield* readSimple(sources, body, range, signal);
      return;
    }
    if (key === undefined) throw new Error("a body can't be read without its client's key");
    const read = (run: ContentRange) => readSimple(sources, body, run, signal);
    yield* key.open(sealing.salt, size, range, read);
    return;
  }
  let at = range.offset;
  const end = range.offset + range.length;
  while (at < end) {
    const parts = await sources.metadata.versionParts(body.partsId, { offset: at }, PARTS_PAGE);
    if (parts.length === 0) throw new Error(`no part of ${body.partsId} has byte ${at}`);
    for (const part of parts) {
      if (at >= end) return;
      const from = at - part.start;
      const count = Math.min(part.size - from, end - at);
      if (count <= 0) continue;
      yield* readBody(sources, part, { offset: from, length: count }, signal, key);
      at += count;
    }
  }
}

/** A run of a body as it is stored. */
async function* readSimple(
  { backend }: BodySources,
  body: Exclude<Body, { kind: 'parts' }>,
  { offset, length }: ContentRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (body.kind === 'inline') {
    yield body.bytes.subarray(offset, offset + length);
    return;
  }
  for (const { contentId, ...range } of cut(body.extents, offset, length)) {
    yield* backend.get(contentId, range, signal);
  }
}

/** The runs of contents that make up a run of all of them one after another. */
export function* cut(
  extents: readonly Extent[],
  offset: number,
  length: number,
): Generator<Extent> {
  let [skip, left] = [offset, length];
  for (const extent of extents) {
    if (left <= 0) return;
    if (skip >= extent.length) {
      skip -= extent.length;
      continue;
    }
    const count = Math.min(extent.length - skip, left);
    yield { contentId: extent.contentId, offset: extent.offset + skip, length: count };
    left -= count;
    skip = 0;
  }
}
