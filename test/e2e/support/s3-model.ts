import { createHash } from 'node:crypto';

/** What a key may hold: an ETag, or null for nothing. */
export type Possible = Set<string | null>;

/** A body that somebody tried to write. */
export interface Written {
  readonly bytes: Buffer;
  readonly etag: string;
}

/**
 * What a client knows of the keys that it alone writes to: what was acknowledged is so; what was not
 * may have happened or not.
 */
export class S3Model {
  /** By key. */
  readonly states = new Map<string, Possible>();
  /** By key and ETag: everything that was ever tried. */
  private readonly tried = new Map<string, Map<string, Written>>();

  possible(key: string): Possible {
    const states = this.states.get(key) ?? new Set([null]);
    this.states.set(key, states);
    return states;
  }

  /** A write begins. Until it is acknowledged the key may hold either. */
  begin(key: string, body: Written | null): void {
    this.possible(key).add(body?.etag ?? null);
    if (body === null) return;
    const bodies = this.tried.get(key) ?? new Map<string, Written>();
    this.tried.set(key, bodies.set(body.etag, body));
  }

  /** It was acknowledged. */
  acknowledge(key: string, body: Written | null): void {
    this.states.set(key, new Set([body?.etag ?? null]));
  }

  /** What was tried to be written to a key with this ETag. */
  body(key: string, etag: string): Written | undefined {
    return this.tried.get(key)?.get(etag);
  }
}

/** The ETag of a body that is put in one piece. */
export function md5Of(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

/** The ETag of a multipart upload, as AWS makes it. */
export function multipartEtag(parts: readonly Uint8Array[]): string {
  const digests = parts.map((part) => createHash('md5').update(part).digest());
  return `${md5Of(Buffer.concat(digests))}-${parts.length}`;
}
