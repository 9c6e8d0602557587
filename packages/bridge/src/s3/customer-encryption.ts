import { createHash } from 'node:crypto';
import { CUSTOMER_KEY_BYTES, CustomerKey, type KeyProof } from '../contents/customer-key.js';
import type { ObjectVersion, Upload } from '../metadata/records.js';
import { parseBase64 } from './body/checksum.js';
import type { HeaderList } from './header-list.js';
import { S3Error, invalidArgument } from './s3-error.js';
import type { S3Request } from './s3-request.js';

const PREFIX = 'server-side-encryption-customer-';
const FIELDS = ['algorithm', 'key', 'key-md5'] as const;

/**
 * The key that a client keeps (SSE-C), where a request brings one.
 *
 * @param of - `copy-source-` for the key of a copy's source
 * @throws S3Error InvalidRequest, InvalidArgument, InvalidEncryptionAlgorithmError. None of them tells
 * anything of the key.
 */
export function customerKeyOf(
  { headers, secure, remoteAddress }: Pick<S3Request, 'headers' | 'secure' | 'remoteAddress'>,
  of: '' | 'copy-source-' = '',
): CustomerKey | undefined {
  const name = (field: (typeof FIELDS)[number]) => `x-amz-${of}${PREFIX}${field}`;
  if (!FIELDS.some((field) => headers.has(name(field)))) return undefined;
  if (!secure && !isLoopback(remoteAddress)) {
    throw new S3Error(
      'InvalidRequest',
      'Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.',
    );
  }
  const [algorithm, text, md5] = FIELDS.map((field) => headers.get(name(field)));
  const missing = (field: (typeof FIELDS)[number], what: string) =>
    invalidArgument(
      name(field),
      'null',
      `Requests specifying Server Side Encryption with Customer provided keys must provide ${what}.`,
    );
  if (algorithm === undefined) throw missing('algorithm', 'a valid encryption algorithm');
  if (algorithm !== 'AES256') throw new S3Error('InvalidEncryptionAlgorithmError');
  if (text === undefined) throw missing('key', 'an appropriate secret key');
  const key = parseBase64(text, CUSTOMER_KEY_BYTES);
  if (key === undefined) {
    throw new S3Error(
      'InvalidArgument',
      'The secret key was invalid for the specified algorithm.',
      {
        fields: { ArgumentName: name('key') },
      },
    );
  }
  if (md5 === undefined) throw missing('key-md5', 'the client calculated MD5 of the secret key');
  if (createHash('md5').update(key).digest('base64') !== md5) {
    throw invalidArgument(
      name('key-md5'),
      md5.slice(0, 40),
      'The calculated MD5 hash of the key did not match the hash that was provided.',
    );
  }
  return new CustomerKey(key);
}

/**
 * Check that a request brings the key of a version that it reads, and none where there is none.
 *
 * @throws S3Error InvalidRequest, AccessDenied.
 */
export function checkVersionKey(
  key: CustomerKey | undefined,
  { details }: Pick<ObjectVersion, 'details'>,
): void {
  const proof = details.encryption as KeyProof | null;
  if (proof === null) {
    if (key === undefined) return;
    throw new S3Error(
      'InvalidRequest',
      'The encryption parameters are not applicable to this object.',
    );
  }
  if (key === undefined) {
    throw new S3Error(
      'InvalidRequest',
      'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.',
    );
  }
  if (!key.matches(proof)) throw new S3Error('AccessDenied');
}

/** Check that a request for an upload's part brings the upload's key. @throws S3Error InvalidRequest. */
export function checkUploadKey(
  key: CustomerKey | undefined,
  { details }: Pick<Upload, 'details'>,
): void {
  const proof = details.encryption as KeyProof | null;
  if (proof === null && key === undefined) return;
  if (proof === null) {
    throw new S3Error(
      'InvalidRequest',
      'The multipart upload initiate did not request encryption. Please resend the request without sending encryption parameters.',
    );
  }
  if (key === undefined) {
    throw new S3Error(
      'InvalidRequest',
      'The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.',
    );
  }
  if (!key.matches(proof)) {
    throw new S3Error(
      'InvalidRequest',
      'The provided encryption parameters did not match the ones used originally.',
    );
  }
}

/** What an answer says of encryption: by the client's key, or by the bridge's own. */
export function encryptionHeaders(key: CustomerKey | undefined): Record<string, string> {
  if (key === undefined) return { 'x-amz-server-side-encryption': 'AES256' };
  return {
    [`x-amz-${PREFIX}algorithm`]: 'AES256',
    [`x-amz-${PREFIX}key-MD5`]: key.md5,
  };
}

/** Refuse encryption that this bridge has not. @throws S3Error NotImplemented, InvalidArgument, InvalidEncryptionAlgorithmError. */
export function checkEncryption(headers: HeaderList): void {
  const asked = headers.get('x-amz-server-side-encryption');
  if (asked === undefined) return;
  if (/^aws:/.test(asked)) {
    throw new S3Error(
      'NotImplemented',
      'This bridge has no KMS: use SSE-S3 (AES256) or a key of your own (SSE-C).',
    );
  }
  if (asked !== 'AES256') throw new S3Error('InvalidEncryptionAlgorithmError');
  if (FIELDS.some((field) => headers.has(`x-amz-${PREFIX}${field}`))) {
    throw invalidArgument(
      'x-amz-server-side-encryption',
      asked,
      'Server Side Encryption with Customer provided key is incompatible with the encryption method specified',
    );
  }
}

/** Whether bytes from this address have not left the machine. */
function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\.|^::1$/.test(address);
}
