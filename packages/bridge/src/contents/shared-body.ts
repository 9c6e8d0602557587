import type { ObjectStore } from '../metadata/metadata-store.js';
import type { Body, Extent } from '../metadata/records.js';
import { cut } from './content-reader.js';
import type { ContentRange } from './object-backend.js';

/** Parts that are asked for at one time. */
const PARTS_PAGE = 100;

/**
 * The extents that make up a run of a body, for something new that has the same bytes: contents are
 * shared, and nothing has to be stored anew.
 *
 * @returns undefined where a byte of it is kept inline
 */
export async function sharedBody(
  metadata: Pick<ObjectStore, 'versionParts'>,
  body: Body,
  { offset, length }: ContentRange,
): Promise<Extract<Body, { kind: 'extents' }> | undefined> {
  if (body.kind === 'inline') return undefined;
  if (body.kind === 'extents')
    return { kind: 'extents', extents: [...cut(body.extents, offset, length)] };
  const extents: Extent[] = [];
  const end = offset + length;
  for (let at = offset; at < end;) {
    const parts = await metadata.versionParts(body.partsId, { offset: at }, PARTS_PAGE);
    if (parts.length === 0) return undefined;
    for (const part of parts) {
      if (at >= end) break;
      const from = at - part.start;
      const count = Math.min(part.size - from, end - at);
      if (count <= 0) continue;
      if (part.body.kind !== 'extents') return undefined;
      extents.push(...cut(part.body.extents, from, count));
      at += count;
    }
  }
  return { kind: 'extents', extents };
}
