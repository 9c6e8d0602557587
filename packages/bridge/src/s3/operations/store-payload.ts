import { CustomerKey, sealedSize } from '../../contents/customer-key.js';
import type { StoredBody } from '../../contents/content-writer.js';
import type { Checksum, Sealing } from '../../metadata/records.js';
import type { BodyFacts, VerifiedBody } from '../body/verified-body.js';
import type { Call } from '../call.js';

/** A payload that was verified and stored: what a version or part is to say of it. */
export interface StoredPayload {
  readonly held: {
    readonly body: StoredBody['body'];
    readonly size: number;
    readonly etag: string;
    readonly checksums: readonly Checksum[];
    readonly sealing?: Sealing;
  };
  /** Nothing came of it. */
  abandon(): Promise<void>;
}

/**
 * Store a payload.
 *
 * @param key - the client's key, where the payload is to be encrypted by one. Its ETag is no MD5 then, as
 * with S3: the bridge is not to keep a hash that a guess at the content can be tested by.
 * @throws what the payload and the writer throw.
 */
export async function storePayload(
  call: Call,
  payload: VerifiedBody,
  key: CustomerKey | undefined,
): Promise<StoredPayload> {
  const { writer, random } = call.deps;
  const { signal } = call.request;
  if (key === undefined) {
    const { body, abandon } = await writer.store(payload.stream, signal);
    const facts = payload.facts();
    const { size, md5: etag } = facts;
    return { held: { body, size, etag, checksums: fullChecksums(facts) }, abandon };
  }
  const salt = CustomerKey.newSalt(random);
  const { body, abandon } = await writer.store(key.seal(salt, payload.stream), signal);
  const facts = payload.facts();
  const { size } = facts;
  const sealing = { salt, stored: sealedSize(size) };
  const etag = Buffer.from(random(16)).toString('hex');
  return { held: { body, size, etag, checksums: fullChecksums(facts), sealing }, abandon };
}

/** The checksums of a whole that was sent in one piece. */
export function fullChecksums({ checksums }: BodyFacts): Checksum[] {
  return [...checksums].map(([algorithm, value]) => ({ algorithm, value, type: 'FULL_OBJECT' }));
}
