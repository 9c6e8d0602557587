import type { ObjectStore } from '../metadata/metadata-store.js';
import type { Body, Extent } from '../metadata/records.js';
import type { ContentRange, ObjectBackend } from './object-backend.js';

/** Parts that are asked for at one time. */
const PARTS_PAGE = 100;

/**
 * Read a run of a body, wherever its bytes are.
 *
 * @throws ContentGoneError where the version was replaced meanwhile and its bytes are gone.
 */
export async function* readBody(
  sources: {
    readonly metadata: Pick<ObjectStore, 'versionParts'>;
    readonly backend: ObjectBackend;
  },
  body: Body,
  { offset, length }: ContentRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (body.kind === 'inline') {
    yield body.bytes.subarray(offset, offset + length);
    return;
  }
  if (body.kind === 'extents') {
    for (const { contentId, ...range } of cut(body.extents, offset, length)) {
      yield* sources.backend.get(contentId, range, signal);
    }
    return;
  }
  let at = offset;
  const end = offset + length;
  while (at < end) {
    const parts = await sources.metadata.versionParts(body.partsId, { offset: at }, PARTS_PAGE);
    if (parts.length === 0) throw new Error(`no part of ${body.partsId} has byte ${at}`);
    for (const part of parts) {
      if (at >= end) return;
      const from = at - part.start;
      const count = Math.min(part.size - from, end - at);
      if (count <= 0) continue;
      yield* readBody(sources, part.body, { offset: from, length: count }, signal);
      at += count;
    }
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
