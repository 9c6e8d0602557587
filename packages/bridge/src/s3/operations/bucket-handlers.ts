import { MetadataError } from '../../metadata/metadata-error.js';
import { aclHeader } from '../access/acl.js';
import { type KeyScope, scopeAllows } from '../access/key-scope.js';
import { checkBucketName } from '../bucket-name.js';
import type { Call } from '../call.js';
import { isoDate } from '../http-date.js';
import { S3Error, invalidArgument, notImplemented } from '../s3-error.js';
import { emptyResponse, xmlResponse } from '../s3-response.js';
import { readTagNodes, MAX_BUCKET_TAGS, type Tags } from '../tags.js';
import { readXml } from '../xml-reader.js';
import { S3_NAMESPACE, optional, xml } from '../xml-writer.js';
import type { Handlers } from './handler.js';
import { ownerElement } from './owners.js';
import { parseLimit } from './paging.js';

/** Names that the server itself answers at. */
const RESERVED = new Set(['health', 'ready', 'metrics']);

/** Buckets themselves: list, create, head, delete, location. */
export const bucketHandlers: Handlers = {
  async ListBuckets(call) {
    const { caller } = call;
    if (caller === null) throw new S3Error('AccessDenied');
    if (!scopeAllows(caller.scope, 's3:ListAllMyBuckets', {})) throw new S3Error('AccessDenied');
    const { parameters } = call.request;
    const limit = parseLimit(parameters, 'max-buckets', 10_000) ?? 10_000;
    if (limit === 0)
      throw invalidArgument('max-buckets', '0', 'max-buckets must be from 1 to 10000');
    const prefix = parameters.get('prefix') ?? '';
    const visible: { name: string; created: number }[] = [];
    let after = parameters.get('continuation-token') ?? '';
    let more = false;
    scan: for (;;) {
      const page = await call.metadata.listBuckets({
        owner: caller.userId,
        limit: 1000,
        ...(after !== '' && { after }),
      });
      for (const { name, created } of page) {
        after = name;
        if (!name.startsWith(prefix)) continue;
        if (!scopeAllows(withoutPrefixes(caller.scope), 's3:ListBucket', { bucket: name }))
          continue;
        if (visible.length === limit) {
          more = true;
          break scan;
        }
        visible.push({ name, created });
      }
      if (page.length < 1000) break;
    }
    return xmlResponse(
      xml(
        'ListAllMyBucketsResult',
        [
          ownerElement({ id: caller.userId, name: caller.userName }),
          xml(
            'Buckets',
            visible.map(({ name, created }) =>
              xml('Bucket', [
                xml('Name', name),
                xml('CreationDate', isoDate(created)),
                xml('BucketRegion', call.deps.region),
              ]),
            ),
          ),
          optional('Prefix', prefix === '' ? undefined : prefix),
          optional('ContinuationToken', more ? visible.at(-1)!.name : undefined),
        ],
        { xmlns: S3_NAMESPACE },
      ),
    );
  },

  async CreateBucket(call) {
    const { caller, bucketName, request } = call;
    if (caller === null) throw new S3Error('AccessDenied');
    if (!scopeAllows(caller.scope, 's3:CreateBucket', { bucket: bucketName })) {
      throw new S3Error('AccessDenied');
    }
    checkBucketName(bucketName);
    if (RESERVED.has(bucketName)) {
      throw new S3Error('InvalidBucketName', `"${bucketName}" is reserved by this bridge.`, {
        fields: { BucketName: bucketName },
      });
    }
    const ownership = request.headers.get('x-amz-object-ownership');
    if (ownership === 'BucketOwnerPreferred') throw notImplemented('BucketOwnerPreferred');
    const acl = aclHeader(request.headers);
    const tags = await readConfiguration(call);
    const documents = {
      ...(acl !== undefined && acl !== 'private' && { acl }),
      ...(Object.keys(tags).length > 0 && { tagging: tags }),
    };
    try {
      await call.metadata.createBucket({
        name: bucketName,
        owner: caller.userId,
        objectLock:
          request.headers.get('x-amz-bucket-object-lock-enabled')?.toLowerCase() === 'true',
        documents,
      });
    } catch (error) {
      if (!(error instanceof MetadataError) || error.code !== 'METADATA_BUCKET_EXISTS') throw error;
      const there = await call.metadata.bucket(bucketName);
      throw new S3Error(
        there?.owner === caller.userId ? 'BucketAlreadyOwnedByYou' : 'BucketAlreadyExists',
        undefined,
        { fields: { BucketName: bucketName } },
      );
    }
    return emptyResponse(200, { location: `/${bucketName}` });
  },

  async HeadBucket(call) {
    await call.authorize('s3:ListBucket');
    return emptyResponse(200, {
      'x-amz-bucket-region': call.deps.region,
      'content-type': 'application/xml',
    });
  },

  async DeleteBucket(call) {
    await call.authorize('s3:DeleteBucket');
    await call.metadata.deleteBucket(call.bucketName);
    return emptyResponse(204);
  },

  async GetBucketLocation(call) {
    await call.authorize('s3:GetBucketLocation');
    const { region } = call.deps;
    return xmlResponse(
      xml('LocationConstraint', region === 'us-east-1' ? [] : region, { xmlns: S3_NAMESPACE }),
    );
  },
};

/** A bucket is shown to a key that is good for a part of it. */
function withoutPrefixes(scope: KeyScope | null): KeyScope | null {
  return scope === null ? null : { ...scope, prefixes: undefined };
}

async function readConfiguration(call: Call): Promise<Tags> {
  const bytes = await call.document();
  if (bytes.length === 0) return {};
  const root = readXml(bytes, 'CreateBucketConfiguration');
  for (const name of ['Location', 'Bucket']) {
    if (root.child(name) !== undefined) throw notImplemented('A directory bucket');
  }
  const location = root.textOf('LocationConstraint');
  const { region } = call.deps;
  if (location !== undefined && location !== '' && location !== region) {
    throw new S3Error(
      'InvalidLocationConstraint',
      `The specified location-constraint is not valid: this bridge's region is ${region}`,
      { fields: { LocationConstraint: location.slice(0, 50) } },
    );
  }
  return readTagNodes(root.child('Tags')?.all('Tag') ?? [], MAX_BUCKET_TAGS);
}
