import sql from 'sql-template-tag';
import { type SqlWork, execute, queryOne } from '../sql/sql-database.js';
import { MetadataError } from './metadata-error.js';
import type { Sealer } from './sealer.js';

/** Parts of one size with numbers that follow each other: the first number, how many, bytes of each. */
type Run = readonly [number: number, count: number, size: number];

/**
 * The numbers and sizes of all parts of an object, sealed as one: where each begins can't be altered.
 * Mostly all parts but the last are of one size, so that it is short.
 */
export interface PartList {
  readonly runs: readonly Run[];
}

const place = (upload: Buffer) => `part-list/${upload.toString('hex')}`;

/** The list of parts in ascending order of number. */
export function partListOf(parts: readonly { number: number; size: number }[]): PartList {
  const runs: [number, number, number][] = [];
  for (const { number, size } of parts) {
    const last = runs.at(-1);
    if (last !== undefined && last[2] === size && last[0] + last[1] === number) last[1] += 1;
    else runs.push([number, 1, size]);
  }
  return { runs };
}

/** Where a part begins in its object, and its size; undefined when there is none of this number. */
export function placeOf(
  { runs }: PartList,
  partNumber: number,
): { start: number; size: number } | undefined {
  let start = 0;
  for (const [number, count, size] of runs) {
    if (partNumber < number) return undefined;
    if (partNumber < number + count) return { start: start + (partNumber - number) * size, size };
    start += count * size;
  }
  return undefined;
}

/** The number of the part that has a byte; undefined behind the end. */
export function partAt({ runs }: PartList, offset: number): number | undefined {
  let start = 0;
  for (const [number, count, size] of runs) {
    if (offset < start + count * size) return number + Math.floor((offset - start) / size);
    start += count * size;
  }
  return undefined;
}

export function* insertPartList(sealer: Sealer, upload: Buffer, list: PartList): SqlWork<void> {
  const sealed = sealer.seal(place(upload), list);
  yield* execute(sql`INSERT INTO part_lists (upload, sealed) VALUES (${upload}, ${sealed})`);
}

/** The list of a completed upload. @throws MetadataError METADATA_NO_SUCH_VERSION. */
export function* readPartList(sealer: Sealer, upload: Buffer): SqlWork<PartList> {
  const row = yield* queryOne<{ sealed: Buffer }>(
    sql`SELECT sealed FROM part_lists WHERE upload = ${upload}`,
  );
  if (row === undefined) {
    throw new MetadataError('METADATA_NO_SUCH_VERSION', 'there are no such parts: it was replaced');
  }
  return sealer.open(place(upload), row.sealed) as PartList;
}
