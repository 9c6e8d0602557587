import { aclHeader, parseAcl, readAcl, writeAcl } from '../access/acl.js';
import { readLegalHold, readRetention, writeLegalHold, writeRetention } from '../object-lock.js';
import { S3Error } from '../s3-error.js';
import { emptyResponse, xmlResponse } from '../s3-response.js';
import { MAX_OBJECT_TAGS, readTagging, writeTagging } from '../tags.js';
import type { Action } from '../access/actions.js';
import type { Call } from '../call.js';
import { findVersion } from './find-version.js';
import type { Handlers } from './handler.js';
import { ownerOf } from './owners.js';
import { versionIdHeader } from './version-headers.js';

/** Tags, ACLs, retention and legal hold of objects. */
export const objectSettingsHandlers: Handlers = {
  async GetObjectTagging(call) {
    const { version, ids } = await find(call, 's3:GetObjectTagging', 's3:GetObjectVersionTagging');
    return xmlResponse(writeTagging(version.details.tags), ids);
  },

  async PutObjectTagging(call) {
    const tags = readTagging(await call.document(), MAX_OBJECT_TAGS);
    const { ids, change } = await find(call, 's3:PutObjectTagging', 's3:PutObjectVersionTagging');
    await change({ tags });
    return emptyResponse(200, ids);
  },

  async DeleteObjectTagging(call) {
    const { ids, change } = await find(
      call,
      's3:DeleteObjectTagging',
      's3:DeleteObjectVersionTagging',
    );
    await change({ tags: {} });
    return emptyResponse(204, ids);
  },

  async GetObjectAcl(call) {
    const { version, bucket, ids } = await find(call, 's3:GetObjectAcl', 's3:GetObjectVersionAcl');
    const owner = await ownerOf(call, version.owner);
    const acl = writeAcl(parseAcl(version.details.acl), owner, await ownerOf(call, bucket.owner));
    return xmlResponse(acl, ids);
  },

  async PutObjectAcl(call) {
    const canned = aclHeader(call.request.headers);
    const acl = canned ?? readAcl(await call.document());
    const { ids, change } = await find(call, 's3:PutObjectAcl', 's3:PutObjectVersionAcl');
    await change({ acl: acl === 'private' ? null : acl });
    return emptyResponse(200, ids);
  },

  async GetObjectRetention(call) {
    const { version } = await findLockable(call, 's3:GetObjectRetention');
    if (version.retention === null) throw new S3Error('NoSuchObjectLockConfiguration');
    return xmlResponse(writeRetention(version.retention));
  },

  async PutObjectRetention(call) {
    const retention = readRetention(await call.document(), call.now);
    const { change } = await findLockable(call, 's3:PutObjectRetention');
    const bypass =
      call.request.headers.get('x-amz-bypass-governance-retention')?.toLowerCase() === 'true';
    if (bypass) await call.authorize('s3:BypassGovernanceRetention', { key: call.key });
    await change({ retention, ...(bypass && { bypassGovernance: true }) });
    return emptyResponse(200);
  },

  async GetObjectLegalHold(call) {
    const { version } = await findLockable(call, 's3:GetObjectLegalHold');
    return xmlResponse(writeLegalHold(version.legalHold));
  },

  async PutObjectLegalHold(call) {
    const legalHold = readLegalHold(await call.document());
    const { change } = await findLockable(call, 's3:PutObjectLegalHold');
    await change({ legalHold });
    return emptyResponse(200);
  },
};

async function find(call: Call, action: Action, versioned: Action) {
  const { key, versionId } = call;
  const bucket = await call.bucket();
  const version = await findVersion(call, versionId === undefined ? action : versioned, {
    key,
    versionId,
  });
  return {
    bucket,
    version,
    ids: versionIdHeader(bucket, version.versionId),
    change: (change: Parameters<Call['metadata']['changeVersion']>[3]) =>
      call.metadata.changeVersion(bucket.name, key, version.versionId, change),
  };
}

async function findLockable(call: Call, action: Action) {
  const found = await find(call, action, action);
  if (!found.bucket.objectLock) {
    throw new S3Error('InvalidRequest', 'Bucket is missing Object Lock Configuration');
  }
  return found;
}
