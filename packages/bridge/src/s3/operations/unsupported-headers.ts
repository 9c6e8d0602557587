import type { HeaderList } from '../header-list.js';
import { checkEncryption } from '../customer-encryption.js';
import { S3Error, notImplemented } from '../s3-error.js';

/**
 * Refuse header fields that ask for what this bridge can't do. To overlook one would store something
 * in another way than was asked for.
 *
 * @throws S3Error NotImplemented, InvalidArgument, InvalidEncryptionAlgorithmError.
 */
export function refuseUnsupported(headers: HeaderList): void {
  for (const name of headers.names()) {
    if (
      /^x-amz-server-side-encryption-(aws-kms|context|bucket-key)/.test(name) ||
      name === 'x-amz-mfa' ||
      name === 'x-amz-write-offset-bytes'
    ) {
      throw notImplemented(`The header ${name}`);
    }
  }
  checkEncryption(headers);
}

/** The storage class of a write. There is one. @throws S3Error InvalidStorageClass. */
export function storageClassOf(headers: HeaderList): string {
  const name = headers.get('x-amz-storage-class') ?? 'STANDARD';
  if (name !== 'STANDARD') {
    throw new S3Error(
      'InvalidStorageClass',
      'The storage class you specified is not valid: this bridge has STANDARD only',
      {
        fields: { StorageClassRequested: name.slice(0, 50) },
      },
    );
  }
  return name;
}
