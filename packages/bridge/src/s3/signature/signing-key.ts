import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** The one algorithm of Signature V4 that this bridge speaks. */
export const ALGORITHM = 'AWS4-HMAC-SHA256';

/** What a signing key is good for. */
export interface SigningScope {
  /** The day, `YYYYMMDD` in UTC. */
  readonly day: string;
  readonly region: string;
  readonly service: string;
}

/** The scope in the form in which it is signed. */
export function scopeText({ day, region, service }: SigningScope): string {
  return `${day}/${region}/${service}/aws4_request`;
}

/** Derive a day's signing key from a secret key. */
export function signingKey(secret: string, { day, region, service }: SigningScope): Buffer {
  const dayKey = hmac(Buffer.from(`AWS4${secret}`, 'utf8'), day);
  return hmac(hmac(hmac(dayKey, region), service), 'aws4_request');
}

/** The signature of a string, in hex. */
export function sign(key: Buffer, stringToSign: string): string {
  return hmac(key, stringToSign).toString('hex');
}

/** SHA-256 in hex. A string is taken as Latin-1: one character a byte. */
export function sha256Hex(data: string | Uint8Array): string {
  const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
  return createHash('sha256').update(bytes).digest('hex');
}

/** Whether two signatures in hex are the same, in a time that does not depend on where they differ. */
export function sameSignature(ours: string, theirs: string): boolean {
  const [a, b] = [Buffer.from(ours, 'latin1'), Buffer.from(theirs, 'latin1')];
  return a.length === b.length && timingSafeEqual(a, b);
}

function hmac(key: Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data, 'utf8').digest();
}
