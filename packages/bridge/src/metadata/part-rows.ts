import sql, { bulk } from 'sql-template-tag';
import { type SqlWork, execute, query } from '../sql/sql-database.js';
import {
  type SimpleBody,
  addBody,
  bodiesOf,
  checkFound,
  holdContents,
  insertExtents,
} from './bodies.js';
import { newId } from './identifiers.js';
import { MetadataError } from './metadata-error.js';
import { insertPartList, readPartList } from './part-list.js';
import type { Checksum, Part, Sealing } from './records.js';
import type { Sealer } from './sealer.js';
import type { StoreContext } from './store-context.js';

/** A part as it is stored. */
export interface PartRow {
  readonly upload: Buffer;
  readonly number: number;
  readonly ref: Buffer;
  readonly size: number;
  readonly sealed: Buffer;
}

interface SealedPart {
  readonly ref: string;
  readonly size: number;
  readonly etag: string;
  readonly modified: number;
  readonly checksums: readonly Checksum[];
  readonly sealing?: Sealing;
}

/** Parts that are copied at one time. */
const ROWS = 1000;

const place = (upload: Buffer, number: number) => `part/${upload.toString('hex')}/${number}`;

export function sealPart(
  sealer: Sealer,
  upload: Buffer,
  ref: Buffer,
  { partNumber, size, etag, modified, checksums, sealing }: Omit<Part, 'start' | 'body'>,
): Buffer {
  const sealed: SealedPart = {
    ref: ref.toString('hex'),
    size,
    etag,
    modified,
    checksums,
    ...(sealing !== undefined && { sealing }),
  };
  return sealer.seal(place(upload, partNumber), sealed);
}

/** What is sealed of a part. @throws MetadataError METADATA_DAMAGED. */
export function openPart(sealer: Sealer, row: PartRow): SealedPart {
  const sealed = sealer.open(place(row.upload, row.number), row.sealed) as SealedPart;
  if (sealed.ref !== row.ref.toString('hex') || sealed.size !== row.size) {
    throw new MetadataError('METADATA_DAMAGED', 'a part was altered in the database');
  }
  return sealed;
}

/** A part from its row, and the bodies that were looked up for it. */
export function partOf(
  sealer: Sealer,
  row: PartRow,
  bodies: ReadonlyMap<string, SimpleBody>,
  start = 0,
): Part {
  const { ref, sealing, ...rest } = openPart(sealer, row);
  const body = checkFound(bodies.get(ref), sealing?.stored ?? rest.size);
  const sealed = sealing === undefined ? {} : { sealing };
  return { partNumber: row.number, ...rest, start, body, ...sealed };
}

/** Copy all parts; contents are shared. @returns the ID of the copies. */
export function* copyParts(context: StoreContext, upload: Buffer): SqlWork<Buffer> {
  const { sealer, clock, random } = context;
  const copy = newId(clock, random);
  for (let from = 0; ;) {
    const rows = yield* query<PartRow>(sql`SELECT * FROM parts
      WHERE upload = ${upload} AND number > ${from} ORDER BY number LIMIT ${ROWS}`);
    if (rows.length === 0) break;
    const full = rows.filter(({ size }) => size > 0);
    const bodies = yield* bodiesOf(
      sealer,
      full.map(({ ref }) => ref),
    );
    const copies: unknown[][] = [];
    for (const row of rows) {
      const part = partOf(sealer, row, bodies);
      let ref = newId(clock, random);
      if (part.body.kind === 'inline') ref = yield* addBody(context, part.body);
      else {
        yield* holdContents(part.body.extents.map(({ contentId }) => contentId));
        yield* insertExtents(sealer, ref, part.body.extents);
      }
      const sealed = sealPart(sealer, copy, ref, part);
      copies.push([copy, row.number, ref, row.size, sealed]);
    }
    yield* execute(
      sql`INSERT INTO parts (upload, number, ref, size, sealed) VALUES ${bulk(copies)}`,
    );
    from = rows.at(-1)!.number;
  }
  yield* insertPartList(sealer, copy, yield* readPartList(sealer, upload));
  return copy;
}
