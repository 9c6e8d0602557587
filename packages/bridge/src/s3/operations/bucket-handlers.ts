import { aclHeader } from '../access/acl.js';
import { scopeAllows } from '../access/key-scope.js';
import type { Call } from '../call.js';
import { isoDate } from '../http-date.js';
import { S3Error, invalidArgument, notImplemented } from '../s3-error.js';
import { emptyResponse, xmlResponse } from '../s3-response.js';
import { readTagNodes, MAX_BUCKET_TAGS, type Tags } from '../tags.js';
import { readXml } from '../xml-reader.js';
import { S3_NAMESPACE, optional, xml } from '../xml-writer.js';
import { checkNewBucket, createBucket } from './create-bucket.js';
import type { Handlers } from './handler.js';
import { ownerElement } from './owners.js';
import { parseLimit } from './paging.js';
import { visibleBuckets } from './visible-buckets.js';

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
    let more = false;
    const after = parameters.get('continuation-token');
    for await (const bucket of visibleBuckets(call.metadata, caller.userId, caller.scope, after)) {
      if (!bucket.name.startsWith(prefix)) continue;
      more = visible.length === limit;
      if (more) break;
      visible.push(bucket);
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
    checkNewBucket(caller, bucketName);
    const ownership = request.headers.get('x-amz-object-ownership');
    if (ownership === 'BucketOwnerPreferred') throw notImplemented('BucketOwnerPreferred');
    const acl = aclHeader(request.headers);
    const tags = await readConfiguration(call);
    const documents = {
      ...(acl !== undefined && acl !== 'private' && { acl }),
      ...(Object.keys(tags).length > 0 && { tagging: tags }),
    };
    await createBucket(call.metadata, caller, {
      name: bucketName,
      objectLock: request.headers.get('x-amz-bucket-object-lock-enabled')?.toLowerCase() === 'true',
      documents,
    });
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
