import sql, { join } from 'sql-template-tag';
import { type SqlWork, execute, query, queryOne } from '../sql/sql-database.js';
import { bodyPlace, extentOf, holdContents, insertExtents, releaseContents } from './bodies.js';
import { badInput, checkLimit, checkedId, firstIdAt, newId } from './identifiers.js';
import { MetadataError } from './metadata-error.js';
import type { ContentStore } from './metadata-store.js';
import type { Extent } from './records.js';
import { SEAL_BYTES } from './sealer.js';
import type { StoreContext } from './store-context.js';

/** Contents named in one call at most. */
const MAX_CONTENTS = 1000;
/** Losses of references that are looked at in one transaction. */
const LOOK = 200;

interface ExtentRow {
  readonly ref: Buffer;
  readonly n: number;
  readonly content: Buffer;
  readonly start: number;
  readonly length: number;
  readonly sealed: Buffer;
}

function checkedIds(contentIds: readonly string[]): Buffer[] {
  if (contentIds.length > MAX_CONTENTS) {
    throw badInput(`at most ${MAX_CONTENTS} contents are named at a time`);
  }
  return contentIds.map((id) => checkedId(id, "a content's ID"));
}

/** Contents in the network, as a database knows them. */
export function createContentStore(context: StoreContext): ContentStore {
  const { sealer, clock, random } = context;

  /** Whether anything refers to a content. */
  function* isReferred(content: Buffer): SqlWork<boolean> {
    const row = yield* queryOne(sql`SELECT n FROM extents WHERE content = ${content} LIMIT 1`);
    return row !== undefined;
  }

  /**
   * Make a content garbage. Who comes to refer to it at the same time is refused by the database, or has
   * this run again: a reference needs the row that is deleted here.
   */
  function* condemn(content: Buffer): SqlWork<void> {
    const gone = yield* query(sql`DELETE FROM contents WHERE id = ${content} RETURNING id`);
    if (gone.length === 0) return;
    yield* execute(
      sql`INSERT INTO garbage (id, content) VALUES (${newId(clock, random)}, ${content})`,
    );
  }

  /** Look at contents that lost a reference. @returns whether there may be more. */
  function* lookAtReleased(): SqlWork<boolean> {
    const rows = yield* query<{ id: Buffer; content: Buffer }>(
      sql`SELECT id, content FROM released ORDER BY id LIMIT ${LOOK}`,
    );
    if (rows.length === 0) return false;
    const contents = new Map(rows.map(({ content }) => [content.toString('hex'), content]));
    for (const content of contents.values()) {
      const known = yield* queryOne<{ claimed: number | null; size: number; sparse: number }>(
        sql`SELECT claimed, size, sparse FROM contents WHERE id = ${content}`,
      );
      // One that is claimed is looked at again when the claim has ended.
      if (known === undefined || known.claimed !== null) continue;
      if (!(yield* isReferred(content))) yield* condemn(content);
      else if (known.sparse === 0 && known.size > 0) {
        yield* execute(sql`UPDATE contents SET sparse = 1 WHERE id = ${content}`);
      }
    }
    // Each row by itself: what was released since then stays, to be looked at the next time.
    const ids = join(rows.map(({ id }) => id));
    yield* execute(sql`DELETE FROM released WHERE id IN (${ids})`);
    return rows.length === LOOK;
  }

  /** Look at claims that have run out. @returns whether there may be more. */
  function* lookAtClaims(): SqlWork<boolean> {
    const rows = yield* query<{ id: Buffer }>(sql`SELECT id FROM contents
      WHERE claimed IS NOT NULL AND claimed <= ${clock.now()} ORDER BY claimed LIMIT ${LOOK}`);
    for (const { id } of rows) {
      if (yield* isReferred(id)) {
        yield* execute(sql`UPDATE contents SET claimed = NULL WHERE id = ${id}`);
      } else yield* condemn(id);
    }
    return rows.length === LOOK;
  }

  return {
    beginContents: async (contentIds, forMs) => {
      const ids = checkedIds(contentIds);
      await context.write(function* () {
        for (const id of ids) {
          const known = yield* queryOne(sql`SELECT id FROM contents WHERE id = ${id}`);
          if (known !== undefined) throw badInput('a content of this ID is there already');
          yield* execute(sql`INSERT INTO contents (id, claimed, size, sparse)
            VALUES (${id}, ${clock.now() + forMs}, 0, 0)`);
        }
      });
    },

    renewContents: async (contentIds, forMs) => {
      const ids = checkedIds(contentIds);
      await context.write(function* () {
        for (const id of ids) {
          const rows = yield* query(sql`UPDATE contents SET claimed = ${clock.now() + forMs}
            WHERE id = ${id} AND claimed IS NOT NULL RETURNING id`);
          if (rows.length === 0) throw lost();
        }
      });
    },

    abandonContents: async (contentIds) => {
      const ids = checkedIds(contentIds);
      await context.write(function* () {
        for (const id of ids) {
          const claimed = yield* queryOne(
            sql`SELECT id FROM contents WHERE id = ${id} AND claimed IS NOT NULL`,
          );
          if (claimed !== undefined && !(yield* isReferred(id))) yield* condemn(id);
        }
      });
    },

    garbageContents: async (limit) => {
      checkLimit(limit);
      while (await context.write(lookAtReleased));
      while (await context.write(lookAtClaims));
      return context.read(function* () {
        const rows = yield* query<{ content: Buffer }>(
          sql`SELECT content FROM garbage ORDER BY id LIMIT ${limit}`,
        );
        return rows.map(({ content }) => content.toString('hex'));
      });
    },

    forgetContents: async (contentIds) => {
      const ids = checkedIds(contentIds);
      if (ids.length === 0) return;
      await context.write(function* () {
        yield* execute(sql`DELETE FROM garbage WHERE content IN (${join(ids)})`);
      });
    },

    inlineBodies: async (limit, written) => {
      checkLimit(limit, 10_000);
      return context.read(function* () {
        const rows = yield* query<{ ref: Buffer; bytes: Buffer }>(sql`SELECT ref, bytes FROM bodies
          WHERE ref < ${firstIdAt(written)} ORDER BY ref LIMIT ${limit}`);
        return rows.map(({ ref, bytes }) => ({
          ref: ref.toString('hex'),
          bytes: sealer.openBytes(bodyPlace(ref), bytes),
        }));
      });
    },

    packBodies: async (contentId, bodies) => {
      if (bodies.length === 0) throw badInput('there are no bodies to be packed');
      const id = checkedId(contentId, "a content's ID");
      const refs = bodies.map(({ ref }) => checkedId(ref, "a body's reference"));
      return context.write(function* () {
        const size = bodies.reduce((sum, { extent }) => sum + extent.length, 0);
        yield* holdSized(id, size);
        let packed = 0;
        for (const [i, { extent }] of bodies.entries()) {
          const ref = refs[i]!;
          const [gone] = yield* query<{ bytes: number }>(
            sql`DELETE FROM bodies WHERE ref = ${ref} RETURNING length(bytes) AS bytes`,
          );
          if (gone === undefined) continue;
          if (gone.bytes !== extent.length + SEAL_BYTES) {
            throw badInput('an extent has as many bytes as the body that it takes the place of');
          }
          packed += 1;
          yield* insertExtents(sealer, ref, [{ ...extent, contentId }]);
        }
        // What is gone meanwhile leaves a gap, and all of it may be.
        if (packed < bodies.length) yield* releaseContents(context, [id]);
        return packed;
      });
    },

    sparseContents: async (share, limit) => {
      checkLimit(limit);
      return context.read(function* () {
        const rows = yield* query<{ id: Buffer }>(sql`SELECT c.id FROM contents c
          WHERE c.sparse = 1 AND c.size * CAST(${share} AS DOUBLE PRECISION) >
            (SELECT COALESCE(SUM(e.length), 0) FROM extents e WHERE e.content = c.id)
          LIMIT ${limit}`);
        return rows.map(({ id }) => id.toString('hex'));
      });
    },

    extentsOf: async (contentId, limit) => {
      const id = checkedId(contentId, "a content's ID");
      checkLimit(limit, 10_000);
      return context.read(function* () {
        const rows = yield* query<ExtentRow>(
          sql`SELECT * FROM extents WHERE content = ${id} ORDER BY ref, n LIMIT ${limit}`,
        );
        return rows.map((row) => ({
          ref: row.ref.toString('hex'),
          extent: extentOf(sealer, row),
        }));
      });
    },

    moveExtents: async (contentId, moves) => {
      if (moves.length === 0) throw badInput('there are no extents to be moved');
      const id = checkedId(contentId, "a content's ID");
      const refs = moves.map(({ ref }) => checkedId(ref, "a body's reference"));
      return context.write(function* () {
        yield* holdSized(
          id,
          moves.reduce((sum, { to }) => sum + to.length, 0),
        );
        let moved = 0;
        const left: Buffer[] = [];
        for (const [i, { from, to }] of moves.entries()) {
          const ref = refs[i]!;
          const rows = yield* query<ExtentRow>(
            sql`SELECT * FROM extents WHERE ref = ${ref} ORDER BY n`,
          );
          const extents: Extent[] = rows.map((row) => extentOf(sealer, row));
          const at = extents.findIndex((extent) => isSame(extent, from));
          if (at < 0 || to.length !== from.length) continue;
          extents[at] = { ...to, contentId };
          yield* execute(sql`DELETE FROM extents WHERE ref = ${ref}`);
          yield* insertExtents(sealer, ref, extents);
          left.push(rows[at]!.content);
          moved += 1;
        }
        yield* releaseContents(context, moved < moves.length ? [...left, id] : left);
        return moved;
      });
    },
  };

  /** A claimed content is referred to from now on, and its size is known. */
  function* holdSized(id: Buffer, size: number): SqlWork<void> {
    yield* holdContents([id.toString('hex')]);
    yield* execute(sql`UPDATE contents SET size = ${size} WHERE id = ${id}`);
  }
}

function isSame(a: Extent, b: Extent): boolean {
  return a.contentId === b.contentId && a.offset === b.offset && a.length === b.length;
}

function lost(): MetadataError {
  return new MetadataError(
    'METADATA_CONTENT_LOST',
    'the claim on a content has run out, and what was stored of it is being deleted',
  );
}
