import sql from 'sql-template-tag';
import { type SqlWork, execute, query, queryOne, returning } from '../sql/sql-database.js';
import { addBody, bodiesOf, checkBody, removeBody, removeParts } from './bodies.js';
import { bucketRow } from './bucket-store.js';
import { badInput, checkLimit, idFrom, keyBytes, newId } from './identifiers.js';
import { groups } from './key-groups.js';
import { commonPrefixOf, rangeOf } from './listing.js';
import { MetadataError } from './metadata-error.js';
import type { UploadStore } from './metadata-store.js';
import { checkLockable, limitOf, putOnTop, targetOf } from './object-store.js';
import { insertPartList, partListOf } from './part-list.js';
import { type PartRow, openPart, partOf, sealPart } from './part-rows.js';
import type { Part, Upload } from './records.js';
import type { CompletedPart } from './requests.js';
import type { StoreContext } from './store-context.js';
import { changeUsage } from './usage.js';
import { detailsOf, latestRow, summaryOf, versionOf } from './version-rows.js';

/** The highest number of a part, as in S3. */
export const MAX_PARTS = 10_000;

interface UploadRow {
  readonly bucket: Buffer;
  readonly key: Buffer;
  readonly id: Buffer;
  readonly sealed: Buffer;
}

type SealedUpload = Omit<Upload, 'bucket' | 'key' | 'uploadId'>;

const place = ({ bucket, key, id }: Pick<UploadRow, 'bucket' | 'key' | 'id'>) =>
  `upload/${bucket.toString('hex')}/${id.toString('hex')}/${key.toString('utf8')}`;

/** Multipart uploads in a database. */
export function createUploadStore(context: StoreContext): UploadStore {
  const { sealer, clock, random } = context;

  const uploadOf = (bucket: string, row: UploadRow): Upload => ({
    ...(sealer.open(place(row), row.sealed) as SealedUpload),
    bucket,
    key: row.key.toString('utf8'),
    uploadId: row.id.toString('hex'),
  });

  function* uploadRow(
    bucket: Buffer,
    key: Buffer,
    uploadId: string,
  ): SqlWork<UploadRow | undefined> {
    const id = idFrom(uploadId);
    if (id === undefined) return undefined;
    return yield* queryOne<UploadRow>(
      sql`SELECT * FROM uploads WHERE bucket = ${bucket} AND key = ${key} AND id = ${id}`,
    );
  }

  function* partsOf(upload: Buffer, after: number, limit: number): SqlWork<readonly PartRow[]> {
    return yield* query<PartRow>(sql`SELECT * FROM parts
      WHERE upload = ${upload} AND number > ${after} ORDER BY number LIMIT ${limit}`);
  }

  /** What of the parts is named, checked against what there is. */
  function* chosen(
    upload: Buffer,
    parts: readonly CompletedPart[],
  ): SqlWork<readonly { number: number; size: number }[]> {
    const rows = yield* partsOf(upload, 0, MAX_PARTS);
    const known = new Map(rows.map((row) => [row.number, openPart(sealer, row)]));
    return parts.map(({ partNumber, etag }) => {
      const part = known.get(partNumber);
      if (part?.etag !== etag) {
        throw new MetadataError(
          'METADATA_INVALID_PART',
          part === undefined
            ? `there is no part ${partNumber}`
            : `part ${partNumber} has the ETag ${part.etag}, not ${etag}`,
        );
      }
      return { number: partNumber, size: part.size };
    });
  }

  return {
    createUpload: async (given) => {
      const key = keyBytes(given.key);
      const id = newId(clock, random);
      const { bucket, key: name, ...rest } = given;
      const sealed: SealedUpload = { ...rest, initiated: clock.now() };
      return context.write(function* () {
        const target = yield* targetOf(bucket);
        checkLockable(target, given.retention, given.legalHold);
        const row = { bucket: target.id, key, id };
        yield* execute(sql`INSERT INTO uploads (bucket, key, id, changes, sealed)
          VALUES (${target.id}, ${key}, ${id}, 0, ${sealer.seal(place(row), sealed)})`);
        return { ...sealed, bucket, key: name, uploadId: id.toString('hex') };
      });
    },

    upload: async (bucket, name, uploadId) => {
      const key = keyBytes(name);
      return context.read(function* () {
        const { id } = yield* bucketRow(bucket);
        const row = yield* uploadRow(id, key, uploadId);
        return row && uploadOf(bucket, row);
      });
    },

    listUploads: async (request) => {
      const { limit, bucket, prefix = '', delimiter = '', keyMarker, uploadIdMarker } = request;
      checkLimit(limit);
      return context.read(function* () {
        const { id } = yield* bucketRow(bucket);
        const uploads: Upload[] = [];
        const commonPrefixes: string[] = [];
        if (limit === 0) return { uploads, commonPrefixes, next: null };
        const { from } = rangeOf(request, keyMarker);
        const { end } = rangeOf(request, undefined);
        const found: (UploadRow | string)[] = [];
        const take = function* (condition: ReturnType<typeof sql>): SqlWork<void> {
          const some = yield* query<UploadRow>(sql`SELECT * FROM uploads
            WHERE bucket = ${id} AND ${condition}
            ORDER BY key, id LIMIT ${limit + 1 - found.length}`);
          found.push(...some);
        };
        const marker = uploadIdMarker === undefined ? undefined : idFrom(uploadIdMarker);
        const rolled = commonPrefixOf(keyMarker ?? '', prefix, delimiter) !== undefined;
        if (keyMarker && marker !== undefined && !rolled && keyMarker.startsWith(prefix)) {
          yield* take(sql`key = ${Buffer.from(keyMarker, 'utf8')} AND id > ${marker}`);
        }
        if (delimiter === '') yield* take(sql`key >= ${from} AND key < ${end}`);
        else {
          const table = { name: 'uploads', condition: sql`` };
          const range = { from, end, prefix, delimiter };
          const left = limit + 1 - found.length;
          for (const group of yield* groups(context.dialect, table, id, range, left)) {
            if (found.length > limit) break;
            if (group.rolled) found.push(group.text);
            else yield* take(sql`key = ${Buffer.from(group.text, 'utf8')}`);
          }
        }
        for (const row of found.slice(0, limit)) {
          if (typeof row === 'string') commonPrefixes.push(row);
          else uploads.push(uploadOf(bucket, row));
        }
        const last = found[limit - 1];
        const next =
          found.length <= limit || last === undefined
            ? null
            : typeof last === 'string'
              ? { keyMarker: last, uploadIdMarker: null }
              : { keyMarker: last.key.toString('utf8'), uploadIdMarker: last.id.toString('hex') };
        return { uploads, commonPrefixes, next };
      });
    },

    putPart: async (bucket, name, uploadId, given) => {
      const key = keyBytes(name);
      const { partNumber, size, body, sealing } = given;
      checkPartNumber(partNumber);
      checkBody(body, sealing?.stored ?? size);
      return context.write(
        function* () {
          const target = yield* targetOf(bucket);
          const upload = yield* marked(target.id, key, uploadId);
          const [old] = yield* query<PartRow>(sql`DELETE FROM parts
          WHERE upload = ${upload} AND number = ${partNumber} RETURNING *`);
          if (old !== undefined) yield* removeBody(context, old.ref);
          const ref = yield* addBody(context, body);
          const part: Part = { ...given, modified: clock.now(), start: 0 };
          yield* execute(sql`INSERT INTO parts (upload, number, ref, size, sealed) VALUES
          (${upload}, ${partNumber}, ${ref}, ${size}, ${sealPart(sealer, upload, ref, part)})`);
          const change = { objects: 0, bytes: size - (old?.size ?? 0) };
          yield* changeUsage(context, target.id, change, limitOf(target));
          return part;
        },
        { contention: `upload ${uploadId}` },
      );
    },

    listParts: async (bucket, name, uploadId, after, limit) => {
      const key = keyBytes(name);
      checkLimit(limit, MAX_PARTS);
      return context.read(function* () {
        const { id } = yield* bucketRow(bucket);
        const row = yield* uploadRow(id, key, uploadId);
        if (row === undefined) throw noSuchUpload();
        const rows = yield* partsOf(row.id, after, limit);
        const refs = rows.filter(({ size }) => size > 0).map(({ ref }) => ref);
        const bodies = yield* bodiesOf(sealer, refs);
        return rows.map((part) => partOf(sealer, part, bodies));
      });
    },

    completeUpload: async (bucket, name, uploadId, { parts, etag, checksums, precondition }) => {
      const key = keyBytes(name);
      if (parts.length < 1 || parts.length > MAX_PARTS) {
        throw badInput(`an upload is completed of 1 to ${MAX_PARTS} parts`);
      }
      parts.forEach(({ partNumber }, i) => {
        checkPartNumber(partNumber);
        if (i > 0 && partNumber <= parts[i - 1]!.partNumber) {
          throw badInput('parts are named in ascending order of number');
        }
      });
      return context.write(function* () {
        const target = yield* targetOf(bucket);
        const row = yield* uploadRow(target.id, key, uploadId);
        if (row === undefined) {
          // Asked again, since the answer was lost?
          const latest = yield* latestRow(target.id, key);
          if (latest?.parts?.toString('hex') !== uploadId) throw noSuchUpload();
          const summary = summaryOf(sealer, bucket, latest);
          const { count } = detailsOf(sealer, latest);
          return versionOf(sealer, { row: latest, summary }, partsBody(uploadId, count));
        }
        yield* execute(sql`DELETE FROM uploads
          WHERE bucket = ${target.id} AND key = ${key} AND id = ${row.id}`);
        const list = yield* chosen(row.id, parts);
        const size = list.reduce((sum, part) => sum + part.size, 0);
        const { bytes } = yield* sumOfParts(row.id);
        // The parts were counted as they came; from now on the version is.
        yield* changeUsage(context, target.id, { objects: 0, bytes: -bytes });
        yield* removeParts(context, row.id, new Set(list.map(({ number }) => number)));
        yield* insertPartList(sealer, row.id, partListOf(list));
        const { owner, storageClass, details, retention, legalHold } = uploadOf(bucket, row);
        const version = yield* putOnTop(context, target, key, precondition, () =>
          returning({
            marker: false,
            size,
            etag,
            owner,
            storageClass,
            checksums,
            body: null,
            parts: row.id,
            details: { ...details, retention, legalHold, count: list.length },
          }),
        );
        return versionOf(sealer, version, partsBody(uploadId, list.length));
      });
    },

    abortUpload: async (bucket, name, uploadId) => {
      const key = keyBytes(name);
      return context.write(function* () {
        const { id: bucketId } = yield* bucketRow(bucket);
        const row = yield* uploadRow(bucketId, key, uploadId);
        if (row === undefined) throw noSuchUpload();
        yield* execute(sql`DELETE FROM uploads
          WHERE bucket = ${bucketId} AND key = ${key} AND id = ${row.id}`);
        const { bytes } = yield* sumOfParts(row.id);
        yield* removeParts(context, row.id);
        yield* changeUsage(context, bucketId, { objects: 0, bytes: -bytes });
      });
    },
  };

  /**
   * The ID of an upload that is still there when this transaction ends: it writes to its row, and so does
   * who completes or aborts it, so that one of both is run again.
   */
  function* marked(bucket: Buffer, key: Buffer, uploadId: string): SqlWork<Buffer> {
    const row = yield* uploadRow(bucket, key, uploadId);
    if (row === undefined) throw noSuchUpload();
    yield* execute(sql`UPDATE uploads SET changes = changes + 1
      WHERE bucket = ${bucket} AND key = ${key} AND id = ${row.id}`);
    return row.id;
  }
}

function partsBody(partsId: string, count: number) {
  return { kind: 'parts', partsId, count } as const;
}

function* sumOfParts(upload: Buffer): SqlWork<{ bytes: number }> {
  const row = yield* queryOne<{ bytes: number }>(
    sql`SELECT COALESCE(SUM(size), 0) AS bytes FROM parts WHERE upload = ${upload}`,
  );
  return row!;
}

function checkPartNumber(n: number): void {
  if (!Number.isInteger(n) || n < 1 || n > MAX_PARTS) {
    throw badInput(`a part has a number from 1 to ${MAX_PARTS}`);
  }
}

function noSuchUpload(): MetadataError {
  return new MetadataError(
    'METADATA_NO_SUCH_UPLOAD',
    'there is no such upload: it was completed or aborted, or never begun',
  );
}
