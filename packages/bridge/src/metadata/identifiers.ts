import type { Clock, Random } from '@granary/kad';
import { MetadataError } from './metadata-error.js';

/** The most bytes (UTF-8) in an object's key, as in S3. */
export const MAX_KEY_BYTES = 1024;

/** 16 bytes that sort by the time they were made: 6 of milliseconds since the epoch, 10 random. */
export function newId(clock: Clock, random: Random): Buffer {
  return Buffer.concat([timeBytes(clock.now()), random(10)]);
}

/** The lowest ID of {@link newId} at a time. */
export function firstIdAt(ms: number): Buffer {
  return Buffer.concat([timeBytes(ms), Buffer.alloc(10)]);
}

/** A number below 2^48 as six bytes, the highest first. */
export function timeBytes(n: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(Math.max(0, Math.floor(n)), 0, 6);
  return bytes;
}

/** 16 bytes from 32 hex digits; undefined when it is something else. */
export function idFrom(hex: string): Buffer | undefined {
  return /^[0-9a-f]{32}$/.test(hex) ? Buffer.from(hex, 'hex') : undefined;
}

/** As {@link idFrom}. @throws MetadataError METADATA_BAD_INPUT. */
export function checkedId(hex: string, what: string): Buffer {
  const id = idFrom(hex);
  if (id === undefined) throw badInput(`${what} has 32 hex digits, not "${hex.slice(0, 64)}"`);
  return id;
}

/** An object's key as it is stored. @throws MetadataError METADATA_BAD_INPUT. */
export function keyBytes(key: string): Buffer {
  const bytes = Buffer.from(key, 'utf8');
  if (bytes.length < 1 || bytes.length > MAX_KEY_BYTES) {
    throw badInput(`a key has 1 to ${MAX_KEY_BYTES} bytes in UTF-8, not ${bytes.length}`);
  }
  if (bytes.toString('utf8') !== key) throw badInput('a key is well-formed Unicode');
  return bytes;
}

/** A name of 1 to `max` characters without NUL. @throws MetadataError METADATA_BAD_INPUT. */
export function checkName(name: string, what: string, max: number): string {
  if (name.length < 1 || name.length > max || name.includes('\0')) {
    throw badInput(`${what} has 1 to ${max} characters and no NUL`);
  }
  if (Buffer.from(name, 'utf8').toString('utf8') !== name) {
    throw badInput(`${what} is well-formed Unicode`);
  }
  return name;
}

/** How many a page holds. @throws MetadataError METADATA_BAD_INPUT. */
export function checkLimit(limit: number, max = 1000): number {
  if (!Number.isInteger(limit) || limit < 0 || limit > max) {
    throw badInput(`a page holds 0 to ${max}, not ${limit}`);
  }
  return limit;
}

/** Where a page begins. @throws MetadataError METADATA_BAD_INPUT: some databases take no NUL in a text. */
export function checkAfter(after: string): string {
  if (after.includes('\0')) throw badInput('what a page begins behind has no NUL');
  return after;
}

export function badInput(message: string): MetadataError {
  return new MetadataError('METADATA_BAD_INPUT', message);
}
