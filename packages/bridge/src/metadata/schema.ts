import type { Migration } from '../sql/migrate.js';
import type { Dialect } from '../sql/sql-database.js';

function types(dialect: Dialect) {
  return dialect === 'postgres'
    ? { int: 'BIGINT', bytes: 'BYTEA', text: 'TEXT COLLATE "C"', end: '', clustered: '' }
    : {
        int: 'INTEGER',
        bytes: 'BLOB',
        text: 'TEXT',
        end: 'STRICT',
        // The row lies in the tree of its key: one tree to write less.
        clustered: 'STRICT, WITHOUT ROWID',
      };
}

/**
 * The forms of the metadata's database. A form that was released is never changed; a new one is added.
 * Names, keys and numbers that are asked for or summed up are in the clear, all else is in sealed
 * columns (`sealed`, `summary`, `details`, `bytes`).
 */
export const metadataMigrations: readonly Migration[] = [
  (dialect) => {
    const { int, bytes, text, end, clustered } = types(dialect);
    return [
      // Proof that the database belongs to a master key.
      `CREATE TABLE mark (name ${text} PRIMARY KEY, sealed ${bytes} NOT NULL) ${clustered}`,
      `CREATE TABLE users (
        id ${bytes} PRIMARY KEY, name ${text} NOT NULL UNIQUE, created ${int} NOT NULL,
        quota_bytes ${int}, quota_objects ${int}, quota_buckets ${int}, sealed ${bytes} NOT NULL) ${end}`,
      `CREATE TABLE access_keys (
        id ${text} PRIMARY KEY, user_id ${bytes} NOT NULL REFERENCES users (id), sealed ${bytes} NOT NULL
        ) ${clustered}`,
      `CREATE INDEX access_keys_of ON access_keys (user_id, id)`,
      `CREATE TABLE buckets (
        id ${bytes} PRIMARY KEY, name ${text} NOT NULL UNIQUE, owner ${bytes} NOT NULL REFERENCES users (id),
        created ${int} NOT NULL, versioning ${int} NOT NULL, locking ${int} NOT NULL,
        sealed ${bytes} NOT NULL) ${end}`,
      `CREATE INDEX buckets_of ON buckets (owner, name)`,

      // rank is minus the number of the version among those of its key: the newest comes first.
      `CREATE TABLE versions (
        bucket ${bytes} NOT NULL REFERENCES buckets (id), key ${bytes} NOT NULL, rank ${int} NOT NULL,
        version ${text} NOT NULL, latest ${int} NOT NULL, listed ${int} NOT NULL,
        size ${int} NOT NULL, body ${bytes}, parts ${bytes},
        summary ${bytes} NOT NULL, details ${bytes} NOT NULL,
        PRIMARY KEY (bucket, key, rank)) ${clustered}`,
      // What a listing of objects walks: neither old versions nor delete markers are in its way.
      `CREATE INDEX versions_listed ON versions (bucket, key) WHERE listed = 1`,
      // The version "null", where it is not the newest.
      `CREATE INDEX versions_null ON versions (bucket, key) WHERE version = 'null' AND latest = 0`,

      // Bytes of versions and parts by reference: inline, or as extents of contents.
      `CREATE TABLE bodies (ref ${bytes} PRIMARY KEY, bytes ${bytes} NOT NULL) ${end}`,
      `CREATE TABLE contents (
        id ${bytes} PRIMARY KEY, claimed ${int}, size ${int} NOT NULL, sparse ${int} NOT NULL) ${clustered}`,
      `CREATE INDEX contents_claimed ON contents (claimed) WHERE claimed IS NOT NULL`,
      `CREATE INDEX contents_sparse ON contents (id) WHERE sparse = 1`,
      `CREATE TABLE extents (
        ref ${bytes} NOT NULL, n ${int} NOT NULL, content ${bytes} NOT NULL REFERENCES contents (id),
        start ${int} NOT NULL, length ${int} NOT NULL, sealed ${bytes} NOT NULL,
        PRIMARY KEY (ref, n)) ${clustered}`,
      `CREATE INDEX extents_in ON extents (content)`,
      // Contents that lost a reference, to be looked at; one row for each loss, so that none is overlooked.
      `CREATE TABLE released (id ${bytes} PRIMARY KEY, content ${bytes} NOT NULL) ${clustered}`,
      `CREATE TABLE garbage (id ${bytes} PRIMARY KEY, content ${bytes} NOT NULL UNIQUE) ${clustered}`,

      `CREATE TABLE uploads (
        bucket ${bytes} NOT NULL REFERENCES buckets (id), key ${bytes} NOT NULL, id ${bytes} NOT NULL,
        changes ${int} NOT NULL, sealed ${bytes} NOT NULL, PRIMARY KEY (bucket, key, id)) ${clustered}`,
      `CREATE TABLE parts (
        upload ${bytes} NOT NULL, number ${int} NOT NULL, ref ${bytes} NOT NULL,
        size ${int} NOT NULL, sealed ${bytes} NOT NULL, PRIMARY KEY (upload, number)) ${clustered}`,
      `CREATE TABLE part_lists (upload ${bytes} PRIMARY KEY, sealed ${bytes} NOT NULL) ${clustered}`,

      // What a bucket holds, and changes to be added to it: so writers do not meet in one row.
      `CREATE TABLE usage_sums (
        bucket ${bytes} PRIMARY KEY, objects ${int} NOT NULL, bytes ${int} NOT NULL) ${clustered}`,
      `CREATE TABLE usage_changes (
        bucket ${bytes} NOT NULL, id ${bytes} NOT NULL, objects ${int} NOT NULL, bytes ${int} NOT NULL,
        PRIMARY KEY (bucket, id)) ${clustered}`,

      `CREATE TABLE jobs (
        queue ${text} NOT NULL, id ${text} NOT NULL, due ${int} NOT NULL, token ${bytes},
        attempts ${int} NOT NULL, failed ${int} NOT NULL, sealed ${bytes} NOT NULL, error ${bytes},
        PRIMARY KEY (queue, id)) ${clustered}`,
      `CREATE INDEX jobs_due ON jobs (queue, due)`,
    ];
  },
  (dialect) => {
    const { int, bytes, end } = types(dialect);
    return [
      // What is kept of a session is the hash of its token.
      `CREATE TABLE sessions (
        id ${bytes} PRIMARY KEY, user_id ${bytes} NOT NULL REFERENCES users (id),
        expires ${int} NOT NULL, sealed ${bytes} NOT NULL) ${end}`,
      `CREATE INDEX sessions_of ON sessions (user_id, expires)`,
    ];
  },
];
