import { S3Error } from '../s3-error.js';
import { type SignableRequest, canonicalRequest, stringToSign } from './canonical-request.js';
import type { SignatureClaim } from './claim.js';
import { type ChunkSigner, chunkSigner } from './chunk-signer.js';
import { sameSignature, scopeText, sign, signingKey } from './signing-key.js';

/** How far a signer's clock may be from ours, in milliseconds: 15 minutes, as with S3. */
export const MAX_SKEW_MS = 15 * 60 * 1000;

/** What a signature is checked against. */
export interface VerifyContext {
  readonly secret: string;
  /** The region of this endpoint. */
  readonly region: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Header fields that need not be signed though they begin with `x-amz-`: they change nothing. */
const FREE_FIELDS = new Set(['x-amz-user-agent', 'x-amz-content-sha256', 'x-amz-date']);

/**
 * Verify the signature of a request.
 *
 * @returns what the chunks of a body that is signed chunk by chunk are verified with
 * @throws S3Error AuthorizationHeaderMalformed (region), RequestTimeTooSkewed, AccessDenied
 * (expired, not yet valid, fields that are not signed), SignatureDoesNotMatch.
 */
export function verifyClaim(
  claim: SignatureClaim,
  request: SignableRequest,
  { secret, region, now }: VerifyContext,
): ChunkSigner {
  checkRegion(claim, region);
  checkTime(claim, now);
  checkFields(claim, request);
  const scope = scopeText(claim.scope);
  const key = signingKey(secret, claim.scope);
  const canonical = canonicalRequest(request, claim.signedHeaders, claim.payloadText);
  const ours = sign(key, stringToSign(claim.date, scope, canonical));
  if (!sameSignature(ours, claim.signature)) throw new S3Error('SignatureDoesNotMatch');
  return chunkSigner(key, claim.date, scope, claim.signature);
}

function checkRegion({ scope, how }: SignatureClaim, region: string): void {
  if (scope.region === region) return;
  const text = `the region '${scope.region}' is wrong; expecting '${region}'`;
  throw new S3Error(
    how === 'header' ? 'AuthorizationHeaderMalformed' : 'AuthorizationQueryParametersError',
    how === 'header'
      ? `The authorization header is malformed; ${text}`
      : `Error parsing the X-Amz-Credential parameter; ${text}`,
    { fields: { Region: region } },
  );
}

function checkTime({ how, time, expires }: SignatureClaim, now: number): void {
  if (how === 'header') {
    if (Math.abs(now - time) <= MAX_SKEW_MS) return;
    throw new S3Error('RequestTimeTooSkewed', undefined, {
      fields: {
        RequestTime: new Date(time).toISOString(),
        ServerTime: new Date(now).toISOString(),
        MaxAllowedSkewMilliseconds: String(MAX_SKEW_MS),
      },
    });
  }
  if (time - now > MAX_SKEW_MS) throw new S3Error('AccessDenied', 'Request is not valid yet');
  const end = time + expires! * 1000;
  if (now >= end) {
    throw new S3Error('AccessDenied', 'Request has expired', {
      fields: {
        'X-Amz-Expires': String(expires),
        Expires: new Date(end).toISOString(),
        ServerTime: new Date(now).toISOString(),
      },
    });
  }
}

/** Every `x-amz-` field changes what a request does, so it has to be signed, and `host` with it. */
function checkFields({ signedHeaders, how }: SignatureClaim, { headers }: SignableRequest): void {
  const signed = new Set(signedHeaders);
  const missing = signedHeaders.filter((name) => !headers.has(name));
  if (missing.length > 0) {
    throw new S3Error(
      'SignatureDoesNotMatch',
      `Signed headers are missing: ${missing.join(', ')}.`,
    );
  }
  const open = [...headers.names()].filter(
    (name) =>
      name === 'host' ||
      (name.startsWith('x-amz-') &&
        // The date of a header signature is part of the string to sign.
        (!FREE_FIELDS.has(name) || (how === 'query' && name === 'x-amz-date'))),
  );
  const unsigned = open.filter((name) => !signed.has(name));
  if (unsigned.length > 0 || !signed.has('host')) {
    throw new S3Error(
      'AccessDenied',
      'There were headers present in the request which were not signed',
      { fields: { HeadersNotSigned: unsigned.join(', ') } },
    );
  }
}
