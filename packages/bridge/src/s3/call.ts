import type { MetadataStore } from '../metadata/metadata-store.js';
import type { Bucket, ObjectVersion } from '../metadata/records.js';
import { parseAcl } from './access/acl.js';
import type { Action } from './access/actions.js';
import { type BucketPolicy, parsePolicy } from './access/bucket-policy.js';
import { type Caller, isAllowed } from './access/decision.js';
import type { BodyPlan } from './body/body-plan.js';
import type { ChecksumAlgorithm } from './body/checksum.js';
import { type VerifiedBody, readSmallBody, verifiedBody } from './body/verified-body.js';
import type { OperationName } from './operation.js';
import { S3Error } from './s3-error.js';
import type { S3Request } from './s3-request.js';
import type { S3Deps } from './s3-deps.js';
import type { ChunkSigner } from './signature/chunk-signer.js';
import type { Tags } from './tags.js';

/** What a {@link Call} is made of. */
export interface CallParts {
  readonly deps: S3Deps;
  readonly request: S3Request;
  readonly operation: OperationName;
  readonly caller: Caller | null;
  /** How it was signed; `rest`: by the REST API, which has no signatures; null: not at all. */
  readonly signedBy: 'header' | 'query' | 'form' | 'rest' | null;
  readonly plan: BodyPlan;
  readonly signer?: ChunkSigner;
}

/** What an authorization looks at besides the request. */
export interface Place {
  readonly bucket?: Bucket;
  readonly key?: string;
  readonly version?: ObjectVersion | undefined;
  /** Tags that the request wants to set. */
  readonly tags?: Tags;
}

const LISTINGS: ReadonlySet<Action> = new Set<Action>([
  's3:ListBucket',
  's3:ListBucketVersions',
  's3:ListBucketMultipartUploads',
]);

/** One request that has been authenticated, and what its operation needs to answer it. */
export class Call {
  readonly deps: S3Deps;
  readonly request: S3Request;
  readonly operation: OperationName;
  readonly caller: Caller | null;
  readonly plan: BodyPlan;
  private loaded: Bucket | undefined;

  constructor(private readonly parts: CallParts) {
    ({
      deps: this.deps,
      request: this.request,
      operation: this.operation,
      caller: this.caller,
      plan: this.plan,
    } = parts);
  }

  get metadata(): MetadataStore {
    return this.deps.metadata;
  }

  get now(): number {
    return this.deps.clock.now();
  }

  /** The name of the request's bucket. */
  get bucketName(): string {
    return this.request.bucket!;
  }

  /** The request's key. */
  get key(): string {
    return this.request.key!;
  }

  /** The version that the request names. */
  get versionId(): string | undefined {
    const id = this.request.parameters.get('versionId');
    return id === undefined || id === '' ? undefined : id;
  }

  /** The user ID of who calls; an anonymous writer writes for the bucket's owner. */
  async writer(): Promise<string> {
    return this.caller?.userId ?? (await this.bucket()).owner;
  }

  /** The request's bucket. @throws S3Error NoSuchBucket, AccessDenied (x-amz-expected-bucket-owner). */
  async bucket(): Promise<Bucket> {
    if (this.loaded !== undefined) return this.loaded;
    const bucket = await findBucket(this.metadata, this.bucketName);
    const expected = this.request.headers.get('x-amz-expected-bucket-owner');
    if (expected !== undefined && expected !== bucket.owner) throw new S3Error('AccessDenied');
    this.loaded = bucket;
    return bucket;
  }

  /** Whether the caller may do something. @throws S3Error NoSuchBucket. */
  async may(action: Action, place: Place = {}): Promise<boolean> {
    const bucket = place.bucket ?? (await this.bucket());
    const { version, key } = place;
    const policy = policyOf(bucket);
    return isAllowed({
      caller: this.caller,
      action,
      bucket: {
        name: bucket.name,
        owner: bucket.owner,
        acl: parseAcl(bucket.documents['acl']),
        ...(policy !== undefined && { policy }),
      },
      ...(key !== undefined && { key }),
      // A parameter of this name means something to listings only.
      ...(LISTINGS.has(action) && { prefix: this.request.parameters.get('prefix') ?? '' }),
      ...(version !== undefined && {
        object: { owner: version.owner, acl: parseAcl(version.details.acl) },
      }),
      context: this.context(place),
    });
  }

  /** Go on only if the caller may do something. @throws S3Error AccessDenied, NoSuchBucket. */
  async authorize(action: Action, place: Place = {}): Promise<void> {
    if (!(await this.may(action, place))) throw new S3Error('AccessDenied');
  }

  /**
   * The payload, to be verified as it is read.
   *
   * @param also - a checksum to be computed besides
   */
  payload(also?: ChecksumAlgorithm): VerifiedBody {
    return verifiedBody(this.request.body, this.plan, this.parts.signer, also);
  }

  /** A whole payload that has to be small. @throws S3Error MaxMessageLengthExceeded. */
  document(most = this.deps.limits.documentBytes): Promise<Buffer> {
    return readSmallBody(this.payload(), this.plan, most);
  }

  private context({ version, tags }: Place): Record<string, string | undefined> {
    const { request, caller } = this;
    const parameter = (name: string) => request.parameters.get(name);
    const header = (name: string) => request.headers.get(name);
    const { signedBy } = this.parts;
    return {
      'aws:currenttime': new Date(this.now).toISOString(),
      'aws:referer': header('referer'),
      'aws:securetransport': String(request.secure),
      'aws:sourceip': request.remoteAddress,
      'aws:useragent': header('user-agent'),
      'aws:userid': caller?.userId,
      'aws:username': caller?.userName,
      's3:authtype': {
        header: 'REST-HEADER',
        query: 'REST-QUERY-STRING',
        form: 'POST',
        rest: undefined,
      }[signedBy ?? 'header'],
      's3:delimiter': parameter('delimiter'),
      's3:max-keys': parameter('max-keys'),
      's3:prefix': parameter('prefix'),
      's3:signatureversion':
        signedBy === null || signedBy === 'rest' ? undefined : 'AWS4-HMAC-SHA256',
      's3:versionid': parameter('versionId'),
      's3:x-amz-acl': header('x-amz-acl'),
      's3:x-amz-content-sha256': header('x-amz-content-sha256'),
      's3:x-amz-copy-source': header('x-amz-copy-source'),
      's3:x-amz-metadata-directive': header('x-amz-metadata-directive'),
      's3:x-amz-server-side-encryption': header('x-amz-server-side-encryption'),
      's3:x-amz-server-side-encryption-customer-algorithm': header(
        'x-amz-server-side-encryption-customer-algorithm',
      ),
      's3:x-amz-storage-class': header('x-amz-storage-class'),
      ...tagContext('s3:existingobjecttag/', version?.details.tags),
      ...tagContext('s3:requestobjecttag/', tags),
    };
  }
}

/** A bucket by its name. @throws S3Error NoSuchBucket. */
export async function findBucket(metadata: MetadataStore, name: string): Promise<Bucket> {
  // A name that no bucket can have is not worth a question.
  const bucket = name.length > 255 ? undefined : await metadata.bucket(name);
  if (bucket === undefined) {
    throw new S3Error('NoSuchBucket', undefined, { fields: { BucketName: name.slice(0, 255) } });
  }
  return bucket;
}

/** A bucket's policy, as it was put. */
export function policyOf(bucket: Bucket): BucketPolicy | undefined {
  const text = bucket.documents['policy'];
  return typeof text === 'string' ? parsePolicy(text, bucket.name) : undefined;
}

function tagContext(prefix: string, tags: Tags = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(tags).map(([key, value]) => [`${prefix}${key.toLowerCase()}`, value]),
  );
}
