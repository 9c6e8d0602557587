import { aclHeader, parseAcl, readAcl, writeAcl } from '../access/acl.js';
import { isPublic, parsePolicy, MAX_POLICY_BYTES } from '../access/bucket-policy.js';
import type { Action } from '../access/actions.js';
import { type Call, policyOf } from '../call.js';
import { type CorsRule, readCors, writeCors } from '../cors.js';
import { type LifecycleRule, readLifecycle, writeLifecycle } from '../lifecycle.js';
import {
  type DefaultRetention,
  readLockConfiguration,
  writeLockConfiguration,
} from '../object-lock.js';
import { S3Error, type S3ErrorCode, notImplemented } from '../s3-error.js';
import { type S3Response, emptyResponse, xmlResponse } from '../s3-response.js';
import { MAX_BUCKET_TAGS, type Tags, readTagging, writeTagging } from '../tags.js';
import { readXml } from '../xml-reader.js';
import { S3_NAMESPACE, optional, xml } from '../xml-writer.js';
import type { Handlers } from './handler.js';
import { ownerOf } from './owners.js';

/** Settings of buckets: ACL, CORS, encryption, lifecycle, lock, policy, tags, versioning. */
export const bucketSettingsHandlers: Handlers = {
  async GetBucketAcl(call) {
    await call.authorize('s3:GetBucketAcl');
    const bucket = await call.bucket();
    return xmlResponse(
      writeAcl(parseAcl(bucket.documents['acl']), await ownerOf(call, bucket.owner)),
    );
  },

  async PutBucketAcl(call) {
    await call.authorize('s3:PutBucketAcl');
    const acl = aclHeader(call.request.headers) ?? readAcl(await call.document());
    return set(call, 'acl', acl === 'private' ? null : acl, 200);
  },

  async GetBucketCors(call) {
    const rules = await get<CorsRule[]>(
      call,
      's3:GetBucketCORS',
      'cors',
      'NoSuchCORSConfiguration',
    );
    return xmlResponse(writeCors(rules));
  },

  async PutBucketCors(call) {
    await call.authorize('s3:PutBucketCORS');
    return set(call, 'cors', readCors(await call.document()), 200);
  },

  async DeleteBucketCors(call) {
    await call.authorize('s3:PutBucketCORS');
    return set(call, 'cors', null, 204);
  },

  async GetBucketEncryption(call) {
    await call.authorize('s3:GetEncryptionConfiguration');
    // Everything is encrypted before it leaves the bridge; there is nothing to choose.
    return xmlResponse(
      xml(
        'ServerSideEncryptionConfiguration',
        [
          xml('Rule', [
            xml('ApplyServerSideEncryptionByDefault', [xml('SSEAlgorithm', 'AES256')]),
            xml('BucketKeyEnabled', false),
          ]),
        ],
        { xmlns: S3_NAMESPACE },
      ),
    );
  },

  async PutBucketEncryption(call) {
    await call.authorize('s3:PutEncryptionConfiguration');
    const root = readXml(await call.document(), 'ServerSideEncryptionConfiguration');
    const rules = root.all('Rule');
    if (rules.length === 0) throw new S3Error('MalformedXML', 'There is no <Rule>.');
    for (const rule of rules) {
      const algorithm = rule.child('ApplyServerSideEncryptionByDefault')?.textOf('SSEAlgorithm');
      if (algorithm !== 'AES256') throw notImplemented('Default encryption other than AES256');
      // To overlook it would let in what somebody wants to keep out.
      const blocked = rule.child('BlockedEncryptionTypes')?.textOf('EncryptionType') ?? 'NONE';
      if (blocked !== 'NONE') throw notImplemented('Blocking a type of encryption');
    }
    return emptyResponse(200);
  },

  async DeleteBucketEncryption(call) {
    await call.authorize('s3:PutEncryptionConfiguration');
    // Back to what it always is.
    return emptyResponse(204);
  },

  async GetBucketLifecycleConfiguration(call) {
    const rules = await get<LifecycleRule[]>(
      call,
      's3:GetLifecycleConfiguration',
      'lifecycle',
      'NoSuchLifecycleConfiguration',
    );
    return xmlResponse(writeLifecycle(rules));
  },

  async PutBucketLifecycleConfiguration(call) {
    await call.authorize('s3:PutLifecycleConfiguration');
    return set(call, 'lifecycle', readLifecycle(await call.document()), 200);
  },

  async DeleteBucketLifecycle(call) {
    await call.authorize('s3:PutLifecycleConfiguration');
    return set(call, 'lifecycle', null, 204);
  },

  async GetObjectLockConfiguration(call) {
    await call.authorize('s3:GetBucketObjectLockConfiguration');
    const bucket = await call.bucket();
    if (!bucket.objectLock) throw new S3Error('ObjectLockConfigurationNotFoundError');
    const rule = bucket.documents['object-lock'] as DefaultRetention | undefined;
    return xmlResponse(writeLockConfiguration(rule));
  },

  async PutObjectLockConfiguration(call) {
    await call.authorize('s3:PutBucketObjectLockConfiguration');
    const rule = readLockConfiguration(await call.document());
    const bucket = await call.bucket();
    if (!bucket.objectLock && bucket.versioning !== 'enabled') {
      throw new S3Error(
        'InvalidBucketState',
        "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
      );
    }
    await call.metadata.changeBucket(bucket.name, {
      objectLock: true,
      documents: { 'object-lock': rule ?? null },
    });
    return emptyResponse(200);
  },

  async GetBucketPolicy(call) {
    const text = await get<string>(call, 's3:GetBucketPolicy', 'policy', 'NoSuchBucketPolicy');
    return { status: 200, headers: { 'content-type': 'application/json' }, body: text };
  },

  async PutBucketPolicy(call) {
    await call.authorize('s3:PutBucketPolicy');
    const text = (await call.document(MAX_POLICY_BYTES)).toString('utf8');
    parsePolicy(text, call.bucketName);
    return set(call, 'policy', text, 204);
  },

  async DeleteBucketPolicy(call) {
    await call.authorize('s3:DeleteBucketPolicy');
    return set(call, 'policy', null, 204);
  },

  async GetBucketPolicyStatus(call) {
    await call.authorize('s3:GetBucketPolicyStatus');
    const policy = policyOf(await call.bucket());
    if (policy === undefined) throw new S3Error('NoSuchBucketPolicy');
    return xmlResponse(
      xml('PolicyStatus', [xml('IsPublic', isPublic(policy))], { xmlns: S3_NAMESPACE }),
    );
  },

  async GetBucketTagging(call) {
    const tags = await get<Tags>(call, 's3:GetBucketTagging', 'tagging', 'NoSuchTagSet');
    return xmlResponse(writeTagging(tags));
  },

  async PutBucketTagging(call) {
    await call.authorize('s3:PutBucketTagging');
    return set(call, 'tagging', readTagging(await call.document(), MAX_BUCKET_TAGS), 204);
  },

  async DeleteBucketTagging(call) {
    await call.authorize('s3:PutBucketTagging');
    return set(call, 'tagging', null, 204);
  },

  async GetBucketVersioning(call) {
    await call.authorize('s3:GetBucketVersioning');
    const { versioning } = await call.bucket();
    const status = { off: undefined, enabled: 'Enabled', suspended: 'Suspended' }[versioning];
    return xmlResponse(
      xml('VersioningConfiguration', [optional('Status', status)], { xmlns: S3_NAMESPACE }),
    );
  },

  async PutBucketVersioning(call) {
    await call.authorize('s3:PutBucketVersioning');
    const root = readXml(await call.document(), 'VersioningConfiguration');
    const status = root.textOf('Status');
    if (root.textOf('MfaDelete') === 'Enabled') throw notImplemented('MFA delete');
    if (status !== 'Enabled' && status !== 'Suspended') {
      throw new S3Error('IllegalVersioningConfigurationException');
    }
    await call.metadata.changeBucket(call.bucketName, {
      versioning: status === 'Enabled' ? 'enabled' : 'suspended',
    });
    return emptyResponse(200);
  },
};

async function get<T>(
  call: Call,
  action: Action,
  document: string,
  missing: S3ErrorCode,
): Promise<T> {
  await call.authorize(action);
  const found = (await call.bucket()).documents[document];
  if (found === undefined || found === null) {
    throw new S3Error(missing, undefined, { fields: { BucketName: call.bucketName } });
  }
  return found as T;
}

async function set(
  call: Call,
  document: string,
  value: unknown,
  status: number,
): Promise<S3Response> {
  await call.metadata.changeBucket(call.bucketName, { documents: { [document]: value } });
  return emptyResponse(status);
}
