import { sha256Hex, sign } from './signing-key.js';

/** Signs the chunks of an `aws-chunked` body, each after the one before. */
export interface ChunkSigner {
  /** The signature of the next chunk, from the SHA-256 of its bytes in hex. */
  chunk(sha256: string): string;
  /** The signature of the trailer, from its canonical form: `name:value\n` for each field. */
  trailer(canonical: string): string;
}

const EMPTY = sha256Hex('');

/**
 * Begin the chain of signatures of a body.
 *
 * @param seed - the signature of the request's head
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
 */
export function chunkSigner(key: Buffer, date: string, scope: string, seed: string): ChunkSigner {
  let last = seed;
  return {
    chunk(sha256) {
      const parts = ['AWS4-HMAC-SHA256-PAYLOAD', date, scope, last, EMPTY, sha256];
      last = sign(key, parts.join('\n'));
      return last;
    },
    trailer(canonical) {
      const parts = ['AWS4-HMAC-SHA256-TRAILER', date, scope, last, sha256Hex(canonical)];
      last = sign(key, parts.join('\n'));
      return last;
    },
  };
}
