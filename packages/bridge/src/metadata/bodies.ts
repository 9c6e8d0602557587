import sql, { bulk, join } from 'sql-template-tag';
import { type SqlWork, execute, query, queryOne } from '../sql/sql-database.js';
import { badInput, checkedId, newId } from './identifiers.js';
import { MetadataError } from './metadata-error.js';
import { type Body, type Extent, MAX_INLINE_BYTES } from './records.js';
import type { Sealer } from './sealer.js';
import type { StoreContext } from './store-context.js';

/** A body that is not one of parts. */
export type SimpleBody = Extract<Body, { kind: 'inline' | 'extents' }>;

/** Extents in a body at most. */
const MAX_EXTENTS = 1000;
/** Rows in one statement: every one has up to six values, and SQLite takes 32,766. */
const ROWS = 1000;

interface ExtentRow {
  readonly ref: Buffer;
  readonly n: number;
  readonly content: Buffer;
  readonly start: number;
  readonly length: number;
  readonly sealed: Buffer;
}

/** Where inline bytes are bound to. */
export const bodyPlace = (ref: Buffer) => `body/${ref.toString('hex')}`;
const extentPlace = (ref: Buffer, n: number) => `extent/${ref.toString('hex')}/${n}`;

/** Check that a body has the size that is said. @throws MetadataError METADATA_BAD_INPUT. */
export function checkBody(body: SimpleBody, size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) throw badInput(`${size} is not a size`);
  if (body.kind === 'inline') {
    if (body.bytes.length > MAX_INLINE_BYTES) {
      throw badInput(`an inline body has ${MAX_INLINE_BYTES} bytes at most`);
    }
    if (body.bytes.length !== size) throw badInput('an inline body has as many bytes as is said');
    return;
  }
  if (body.extents.length > MAX_EXTENTS)
    throw badInput(`a body has ${MAX_EXTENTS} extents at most`);
  let sum = 0;
  for (const { offset, length } of body.extents) {
    if (
      !Number.isSafeInteger(offset) ||
      offset < 0 ||
      !Number.isSafeInteger(length) ||
      length < 1
    ) {
      throw badInput('an extent begins at 0 or later and has at least one byte');
    }
    sum += length;
  }
  if (sum !== size) throw badInput(`extents of ${sum} bytes are given for a body of ${size}`);
}

/**
 * Keep a body under a new reference. Claims on its contents end.
 *
 * @throws MetadataError METADATA_CONTENT_LOST.
 */
export function* addBody(context: StoreContext, body: SimpleBody): SqlWork<Buffer> {
  const { sealer, clock, random } = context;
  const ref = newId(clock, random);
  if (body.kind === 'inline') {
    if (body.bytes.length > 0) {
      const sealed = sealer.sealBytes(bodyPlace(ref), body.bytes);
      yield* execute(sql`INSERT INTO bodies (ref, bytes) VALUES (${ref}, ${sealed})`);
    }
    return ref;
  }
  yield* holdContents(body.extents.map(({ contentId }) => contentId));
  yield* insertExtents(sealer, ref, body.extents);
  return ref;
}

/** Contents are referred to from now on. @throws MetadataError METADATA_CONTENT_LOST. */
export function* holdContents(contentIds: readonly string[]): SqlWork<void> {
  for (const contentId of new Set(contentIds)) {
    const id = checkedId(contentId, "a content's ID");
    const known = yield* queryOne<{ claimed: number | null }>(
      sql`SELECT claimed FROM contents WHERE id = ${id}`,
    );
    if (known === undefined) {
      throw new MetadataError(
        'METADATA_CONTENT_LOST',
        'the claim on a content has run out, and what was stored of it is being deleted',
      );
    }
    // One that is shared already is not written to: its row would be where all its users meet.
    if (known.claimed !== null) {
      yield* execute(sql`UPDATE contents SET claimed = NULL WHERE id = ${id}`);
    }
  }
}

export function* insertExtents(
  sealer: Sealer,
  ref: Buffer,
  extents: readonly Extent[],
): SqlWork<void> {
  for (let at = 0; at < extents.length; at += ROWS) {
    const rows = extents.slice(at, at + ROWS).map(({ contentId, offset, length }, i) => {
      const sealed = sealer.seal(extentPlace(ref, at + i), [contentId, offset, length]);
      return [ref, at + i, checkedId(contentId, "a content's ID"), offset, length, sealed];
    });
    yield* execute(
      sql`INSERT INTO extents (ref, n, content, start, length, sealed) VALUES ${bulk(rows)}`,
    );
  }
}

/** Bodies by reference (hex): all in one look, so that one that is being packed is not missed. */
export function* bodiesOf(
  sealer: Sealer,
  refs: readonly Buffer[],
): SqlWork<ReadonlyMap<string, SimpleBody>> {
  const bodies = new Map<string, SimpleBody>();
  if (refs.length === 0) return bodies;
  const among = sql`ref IN (${join(refs)})`;
  const inline = yield* query<{ ref: Buffer; bytes: Buffer }>(
    sql`SELECT ref, bytes FROM bodies WHERE ${among}`,
  );
  for (const { ref, bytes } of inline) {
    const opened = sealer.openBytes(bodyPlace(ref), bytes);
    bodies.set(ref.toString('hex'), { kind: 'inline', bytes: opened });
  }
  if (bodies.size === refs.length) return bodies;
  const rows = yield* query<ExtentRow>(sql`SELECT * FROM extents WHERE ${among} ORDER BY ref, n`);
  const lists = new Map<string, Extent[]>();
  for (const row of rows) {
    const name = row.ref.toString('hex');
    const list = lists.get(name) ?? [];
    if (row.n !== list.length) throw missing();
    list.push(extentOf(sealer, row));
    lists.set(name, list);
  }
  for (const [name, extents] of lists) bodies.set(name, { kind: 'extents', extents });
  return bodies;
}

/** An extent from its row. @throws MetadataError METADATA_DAMAGED when it was altered. */
export function extentOf(
  sealer: Sealer,
  { ref, n, content, start, length, sealed }: ExtentRow,
): Extent {
  const [contentId, offset, size] = sealer.open(extentPlace(ref, n), sealed) as [
    string,
    number,
    number,
  ];
  if (contentId !== content.toString('hex') || offset !== start || size !== length) {
    throw new MetadataError('METADATA_DAMAGED', 'an extent was altered in the database');
  }
  return { contentId, offset, length };
}

/** What a version or part of this size has for a body. @throws MetadataError METADATA_DAMAGED. */
export function checkFound(body: SimpleBody | undefined, size: number): SimpleBody {
  if (size === 0) return { kind: 'inline', bytes: new Uint8Array() };
  if (body === undefined) throw missing();
  const found =
    body.kind === 'inline'
      ? body.bytes.length
      : body.extents.reduce((sum, { length }) => sum + length, 0);
  if (found !== size) throw missing();
  return body;
}

function missing(): MetadataError {
  return new MetadataError('METADATA_DAMAGED', "the database lacks a part of an object's body");
}

/** Take a body away; its contents are looked at later. */
export function* removeBody(context: StoreContext, ref: Buffer): SqlWork<void> {
  const inline = yield* query(sql`DELETE FROM bodies WHERE ref = ${ref} RETURNING ref`);
  if (inline.length > 0) return;
  const rows = yield* query<{ content: Buffer }>(
    sql`DELETE FROM extents WHERE ref = ${ref} RETURNING content`,
  );
  yield* releaseContents(
    context,
    rows.map(({ content }) => content),
  );
}

/** Contents lost a reference each. */
export function* releaseContents(
  { clock, random }: Pick<StoreContext, 'clock' | 'random'>,
  contents: readonly Buffer[],
): SqlWork<void> {
  const distinct = new Map(contents.map((content) => [content.toString('hex'), content]));
  const rows = [...distinct.values()].map((content) => [newId(clock, random), content]);
  for (let at = 0; at < rows.length; at += ROWS) {
    const some = rows.slice(at, at + ROWS);
    yield* execute(sql`INSERT INTO released (id, content) VALUES ${bulk(some)}`);
  }
}

/** Take all parts of an upload or a version away, but for those whose numbers are kept. */
export function* removeParts(
  context: StoreContext,
  upload: Buffer,
  keep: ReadonlySet<number> = new Set(),
): SqlWork<void> {
  const all = yield* query<{ number: number; ref: Buffer }>(
    sql`SELECT number, ref FROM parts WHERE upload = ${upload}`,
  );
  const gone = all.filter(({ number }) => !keep.has(number));
  for (let at = 0; at < gone.length; at += ROWS) {
    const some = gone.slice(at, at + ROWS);
    const among = sql`ref IN (${join(some.map(({ ref }) => ref))})`;
    yield* execute(sql`DELETE FROM bodies WHERE ${among}`);
    const rows = yield* query<{ content: Buffer }>(
      sql`DELETE FROM extents WHERE ${among} RETURNING content`,
    );
    yield* releaseContents(
      context,
      rows.map(({ content }) => content),
    );
    const numbers = join(some.map(({ number }) => number));
    yield* execute(sql`DELETE FROM parts WHERE upload = ${upload} AND number IN (${numbers})`);
  }
  if (keep.size === 0) yield* execute(sql`DELETE FROM part_lists WHERE upload = ${upload}`);
}
