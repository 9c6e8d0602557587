import { z } from 'zod';
import { byteCount, hash32, parseWith, timestamp } from './fields.js';
import { checkScheme, schemeSchema } from './scheme.js';

/** The most ciphertext in a segment. */
export const MAX_SEGMENT_SIZE = 64 * 1024 * 1024;

/** How segments are laid out: ciphertext bytes in an encryption chunk, and in an erasure-coding cell. */
export const layoutFields = {
  chunkSize: z
    .number()
    .int()
    .min(32)
    .max(1024 * 1024),
  cellSize: z
    .number()
    .int()
    .min(1)
    .max(1024 * 1024),
};

const manifestSchema = z.strictObject({
  version: z.literal(1),
  objectId: z.string().regex(/^[0-9a-f]{32}$/),
  bucket: z.string(),
  name: z.string(),
  size: byteCount,
  sha256: hash32,
  created: timestamp,
  scheme: schemeSchema,
  segmentSize: z.number().int().min(1).max(MAX_SEGMENT_SIZE),
  ...layoutFields,
  segments: z.number().int().min(0),
});

/**
 * The head of an object's manifest. The object's segments have records of their own
 * ({@link SegmentRecord}), so that memory does not grow with the object. `size` and `sha256` are
 * the plaintext's; `segmentSize` is ciphertext bytes in every segment but the last; `chunkSize` is
 * ciphertext bytes in an encryption chunk, tag included; `cellSize` is the erasure-coding cell.
 */
export type Manifest = z.infer<typeof manifestSchema>;

const shardRecordSchema = z.strictObject({
  index: z.number().int().min(0).max(255),
  hash: hash32,
  farmer: hash32,
  contract: hash32,
  auditSalt: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .optional(),
});
/**
 * One shard of a segment on one farmer, under one contract. `auditSalt` is what its precomputed
 * challenges were derived with, when that is not the segment's own salt.
 */
export type ShardRecord = z.infer<typeof shardRecordSchema>;

const segmentRecordSchema = z.strictObject({
  index: z.number().int().min(0),
  salt: hash32,
  length: byteCount,
  shardSize: byteCount,
  shards: z.array(shardRecordSchema).max(256),
});
/**
 * What it takes to read one segment: the salt of its key, its plaintext length, and its shards.
 */
export type SegmentRecord = z.infer<typeof segmentRecordSchema>;

/** Parse a manifest that was sealed by this renter. @throws ProtocolError PROTOCOL_MALFORMED. */
export function parseManifest(value: unknown): Manifest {
  const manifest = parseWith(manifestSchema, value, 'manifest');
  checkScheme(manifest.scheme);
  return manifest;
}

/** Parse a segment record. @throws ProtocolError PROTOCOL_MALFORMED. */
export function parseSegmentRecord(value: unknown): SegmentRecord {
  return parseWith(segmentRecordSchema, value, 'segment record');
}
