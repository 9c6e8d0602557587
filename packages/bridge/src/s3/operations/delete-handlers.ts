import { MetadataError } from '../../metadata/metadata-error.js';
import type { Call } from '../call.js';
import { unquote } from '../conditional.js';
import { parseHttpDate } from '../http-date.js';
import { fromMetadataError } from '../metadata-errors.js';
import { S3Error } from '../s3-error.js';
import { checkKey } from '../s3-request.js';
import { emptyResponse, xmlResponse } from '../s3-response.js';
import { type XmlNode, readXml } from '../xml-reader.js';
import { S3_NAMESPACE, type XmlElement, optional, xml } from '../xml-writer.js';
import type { Handlers } from './handler.js';
import { refuseUnsupported } from './unsupported-headers.js';

/** The most objects of one DeleteObjects. */
const MAX_DELETES = 1000;

interface Target {
  readonly key: string;
  readonly versionId?: string | undefined;
  readonly ifMatch?: string | undefined;
  readonly modified?: number | undefined;
  readonly size?: number | undefined;
}

/** Deleting objects. */
export const deleteHandlers: Handlers = {
  async DeleteObject(call) {
    const { headers } = call.request;
    refuseUnsupported(headers);
    const match = headers.get('if-match');
    const size = headers.get('x-amz-if-match-size');
    const outcome = await deleteOne(call, {
      key: call.key,
      versionId: call.versionId,
      ifMatch: match === undefined ? undefined : unquote(match),
      modified: parseHttpDate(headers.get('x-amz-if-match-last-modified-time')),
      size: size === undefined ? undefined : Number(size),
    });
    const bucket = await call.bucket();
    return emptyResponse(204, {
      ...(outcome.versionId !== null &&
        bucket.versioning !== 'off' && { 'x-amz-version-id': outcome.versionId }),
      ...(outcome.deleteMarker && { 'x-amz-delete-marker': 'true' }),
    });
  },

  async DeleteObjects(call) {
    refuseUnsupported(call.request.headers);
    await call.bucket();
    const root = readXml(await call.document(), 'Delete');
    const quiet = root.textOf('Quiet') === 'true';
    const nodes = root.all('Object');
    if (nodes.length === 0 || nodes.length > MAX_DELETES) {
      throw new S3Error('MalformedXML', `A <Delete> has 1 to ${MAX_DELETES} <Object>s.`);
    }
    const results: (XmlElement | undefined)[] = [];
    for (const node of nodes) results.push(await deleteListed(call, node, quiet));
    return xmlResponse(xml('DeleteResult', results, { xmlns: S3_NAMESPACE }));
  },
};

async function deleteListed(
  call: Call,
  node: XmlNode,
  quiet: boolean,
): Promise<XmlElement | undefined> {
  const key = node.child('Key')?.text;
  if (key === undefined || key === '')
    throw new S3Error('MalformedXML', 'An <Object> lacks its <Key>.');
  const versionId = node.textOf('VersionId') || undefined;
  const etag = node.textOf('ETag');
  try {
    call.request.signal.throwIfAborted();
    const outcome = await deleteOne(call, {
      key: checkKey(key),
      versionId,
      ifMatch: etag === undefined ? undefined : unquote(etag),
      modified: parseHttpDate(node.textOf('LastModifiedTime')),
      size: node.textOf('Size') === undefined ? undefined : Number(node.textOf('Size')),
    });
    if (quiet) return undefined;
    return xml('Deleted', [
      xml('Key', key),
      optional('VersionId', versionId),
      optional('DeleteMarker', outcome.deleteMarker || undefined),
      optional(
        'DeleteMarkerVersionId',
        outcome.deleteMarker ? (outcome.versionId ?? undefined) : undefined,
      ),
    ]);
  } catch (thrown) {
    const error = fromMetadataError(thrown);
    if (!(error instanceof S3Error)) throw error;
    return xml('Error', [
      xml('Key', key),
      optional('VersionId', versionId),
      xml('Code', error.code),
      xml('Message', error.message),
    ]);
  }
}

async function deleteOne(call: Call, target: Target) {
  const { key, versionId, ifMatch, modified, size } = target;
  const action = versionId === undefined ? 's3:DeleteObject' : 's3:DeleteObjectVersion';
  await call.authorize(action, { key });
  const bypass =
    call.request.headers.get('x-amz-bypass-governance-retention')?.toLowerCase() === 'true';
  if (bypass) await call.authorize('s3:BypassGovernanceRetention', { key });
  const precondition = {
    ...(ifMatch !== undefined && { ifMatch }),
    ...(modified !== undefined && { modified }),
    ...(size !== undefined && Number.isSafeInteger(size) && { size }),
  };
  try {
    return await call.metadata.deleteObject({
      bucket: call.bucketName,
      key,
      ...(versionId !== undefined && { versionId }),
      ...(bypass && { bypassGovernance: true }),
      ...(Object.keys(precondition).length > 0 && { precondition }),
    });
  } catch (error) {
    // To delete a version that is not there is done already.
    if (error instanceof MetadataError && error.code === 'METADATA_NO_SUCH_VERSION') {
      return { versionId: versionId ?? null, deleteMarker: false };
    }
    throw error;
  }
}
