import type { ObjectPath, ProposalRecord } from './records.js';

/** The bucket of the index's own objects. Its name is none that a user can give. */
export const INDEX_BUCKET = '.index';

/** What the names of catalogues of access grants begin with, in that bucket. */
export const CATALOGUE = 'grant-';

const pad = (n: number) => n.toString(16).padStart(8, '0');

/** Keys of the store's records. NUL can't be in a bucket's or object's name, so that keys sort as (bucket, name). */
export const keys = {
  object: ({ bucket, name }: ObjectPath) => `object/${bucket}\0${name}`,
  segment: (objectId: string, index: number) => `segment/${objectId}/${pad(index)}`,
  segments: (objectId: string) => `segment/${objectId}/`,
  holding: (farmer: string, contract: string) => `holding/${farmer}/${contract}`,
  contract: (hash: string) => `contract/${hash}`,
  garbage: (contract: string) => `garbage/${contract}`,
  proposed: (contract: string) => `proposed/${contract}`,
  proposal: ({ upload, segment, shard, contract }: ProposalRecord) =>
    `proposal/${upload}/${pad(segment)}/${pad(shard)}/${contract}`,
  proposals: (upload: string, segment?: number) =>
    `proposal/${upload}/${segment === undefined ? '' : `${pad(segment)}/`}`,
  upload: (id: string) => `upload/${id}`,
  retired: (objectId: string) => `retired/${objectId}`,
  reading: (objectId: string, token: string) => `reading/${objectId}/${token}`,
  share: (id: string) => `share/${id}`,
  shareOf: ({ bucket, name }: ObjectPath, id: string) => `shareof/${bucket}\0${name}\0${id}`,
  grant: (id: string) => `grant/${id}`,
  lease: (name: string) => `lease/${name}`,
  farmer: (nodeId: string) => `farmer/${nodeId}`,
  audit: (farmer: string) => `audit/${farmer}`,
  log: (n: number) => `log/${n.toString(16).padStart(13, '0')}`,
  indexState: 'index/state',
  version: 'meta/version',
} as const;

/** The turn of transactions that add to the log: each needs the number of the last. */
export const LOG_TURN = { turn: 'log' } as const;

/** The number of a record of the log. */
export function logNumber(key: string): number {
  return Number.parseInt(key.slice('log/'.length), 16);
}

/** The first key behind all that begin with a prefix. */
export function after(prefix: string): string {
  return `${prefix}\u{10ffff}`;
}

/** All keys that begin with a prefix. */
export function within(prefix: string): { start: string; end: string } {
  return { start: prefix, end: after(prefix) };
}
