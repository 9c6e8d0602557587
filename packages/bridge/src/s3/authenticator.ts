import type { Clock } from '@granary/kad';
import type { UserStore } from '../metadata/metadata-store.js';
import type { AccessKey, User } from '../metadata/records.js';
import { type RateLimits, rateLimitsOf } from '../users/rate-limits.js';
import type { Caller } from './access/decision.js';
import { keyScopeSchema } from './access/key-scope.js';
import { S3Error } from './s3-error.js';
import type { S3Request } from './s3-request.js';
import type { ChunkSigner } from './signature/chunk-signer.js';
import { type PayloadSigning, parseClaim } from './signature/claim.js';
import { verifyClaim } from './signature/verify.js';

/** Who sent a request, proved by its signature. */
export interface Authentication {
  readonly caller: Caller;
  /** How fast the caller may go. */
  readonly limits: RateLimits;
  readonly how: 'header' | 'query';
  readonly payload: PayloadSigning;
  readonly signer: ChunkSigner;
}

/** Finds out who sends requests. */
export class Authenticator {
  constructor(
    private readonly users: Pick<UserStore, 'accessKey'>,
    private readonly region: string,
    private readonly clock: Clock,
  ) {}

  /**
   * Verify the signature of a request.
   *
   * @returns undefined for an anonymous request
   * @throws S3Error InvalidAccessKeyId, SignatureDoesNotMatch, AccessDenied, InvalidToken, …
   */
  async authenticate(request: S3Request): Promise<Authentication | undefined> {
    const { method, headers, parameters, target } = request;
    const signable = { method, path: target.path, parameters: target.parameters, headers };
    const claim = parseClaim(signable);
    if (claim === undefined) return undefined;
    if (headers.has('x-amz-security-token') || parameters.has('X-Amz-Security-Token')) {
      throw new S3Error('InvalidToken', 'This bridge has no temporary credentials.');
    }
    const { secret, checkUsable, caller, limits } = await this.find(claim.accessKeyId);
    const signer = verifyClaim(claim, signable, {
      secret,
      region: this.region,
      now: this.clock.now(),
    });
    // Only who has the secret learns what is the matter with the key.
    checkUsable();
    return { caller: caller(), limits, how: claim.how, payload: claim.payload, signer };
  }

  /** The caller and secret of an access key that is good. @throws S3Error InvalidAccessKeyId, AccessDenied. */
  async findCaller(
    accessKeyId: string,
  ): Promise<{ caller: Caller; limits: RateLimits; secret: string }> {
    const { secret, checkUsable, caller, limits } = await this.find(accessKeyId);
    checkUsable();
    return { caller: caller(), limits, secret };
  }

  private async find(accessKeyId: string) {
    const unknown = () =>
      new S3Error('InvalidAccessKeyId', undefined, {
        fields: { AWSAccessKeyId: accessKeyId.slice(0, 128) },
      });
    if (!/^[A-Za-z0-9_-]{3,128}$/.test(accessKeyId)) throw unknown();
    const found = await this.users.accessKey(accessKeyId);
    if (found === undefined) throw unknown();
    const { key, user } = found;
    return {
      secret: key.secret,
      limits: rateLimitsOf(user),
      checkUsable: () => {
        const why = whyUnusable(key, user, this.clock.now());
        if (why !== undefined) throw new S3Error('AccessDenied', why);
      },
      caller: () => callerOf(key, user),
    };
  }
}

/** Why an access key is good for nothing now; undefined when it is good. */
export function whyUnusable(key: AccessKey, user: User, now: number): string | undefined {
  if (key.disabled || user.disabled) return 'This access key is disabled.';
  if (key.expires !== null && now >= key.expires) return 'This access key has expired.';
  return undefined;
}

/** Who calls with an access key. */
export function callerOf(key: AccessKey, user: User): Caller {
  return {
    userId: user.id,
    userName: user.name,
    accessKeyId: key.id,
    scope: scopeOf(key.scope),
  };
}

/** A scope as it was kept; one that can't be read is good for nothing. */
function scopeOf(stored: unknown): Caller['scope'] {
  if (stored === null || stored === undefined) return null;
  const result = keyScopeSchema.safeParse(stored);
  return result.success ? result.data : { rights: [] };
}
