import { parseCanned } from '../access/acl.js';
import { MAX_PUT_BYTES, planBody } from '../body/body-plan.js';
import { type Form, readForm } from '../body/form-data.js';
import { verifiedBody } from '../body/verified-body.js';
import { Call } from '../call.js';
import { HeaderList } from '../header-list.js';
import { S3Error } from '../s3-error.js';
import { checkKey } from '../s3-request.js';
import { type S3Response, emptyResponse } from '../s3-response.js';
import { checkPostPolicy, parseFormClaim, verifyForm } from '../signature/post-policy.js';
import { readTagging, MAX_OBJECT_TAGS } from '../tags.js';
import { uriEncode } from '../uri-encoding.js';
import { writeXml, xml } from '../xml-writer.js';
import type { Caller } from '../access/decision.js';
import { customerKeyOf } from '../customer-encryption.js';
import { storePayload } from './store-payload.js';
import { writeAttributes, writtenHeaders } from './write-handlers.js';

/** Finds who an access key belongs to. @throws S3Error InvalidAccessKeyId, AccessDenied. */
export type FindCaller = (
  accessKeyId: string,
) => Promise<{ readonly caller: Caller; readonly secret: string }>;

/** Fields of a form that stand for header fields of a put. */
const HEADER_FIELDS =
  /^(cache-control|content-(type|disposition|encoding|language|md5)|expires|x-amz-(meta-.+|storage-class|server-side-encryption.*|website-redirect-location|object-lock-.+|checksum-.+))$/;

/**
 * PostObject: an upload by a browser's form. The form is signed, not the request: its policy says which
 * fields it may have, and how large the file may be.
 *
 * @param call - an anonymous call; whoever signed the form does the upload
 */
export async function postObject(call: Call, findCaller: FindCaller): Promise<S3Response> {
  const { request, deps } = call;
  const form = await readForm(
    request.body,
    request.headers.get('content-type'),
    deps.limits.formBytes,
  );
  const fields = new Map(form.fields);
  const key = (fields.get('key') ?? '').replaceAll('${filename}', baseName(form.fileName));
  if (key === '') {
    throw new S3Error('InvalidArgument', "Bucket POST must contain a field named 'key'.", {
      fields: { ArgumentName: 'key' },
    });
  }
  const claim = parseFormClaim(fields);
  let caller: Caller | null = null;
  let [least, most] = [0, Number.MAX_SAFE_INTEGER];
  if (claim !== undefined) {
    const found = await findCaller(claim.accessKeyId);
    verifyForm(claim, found.secret, deps.region);
    // The key is checked as it was written, and as it will be.
    const conditions = new Map([...fields, ['bucket', call.bucketName], ['key', key]]);
    ({ least, most } = checkPostPolicy(claim.policy, conditions, call.now));
    caller = found.caller;
  }
  const headers = headersOf(form, fields);
  const post = new Call({
    deps,
    request: { ...request, key: checkKey(key), headers },
    operation: 'PostObject',
    caller,
    signedBy: caller === null ? null : 'form',
    plan: call.plan,
  });
  return store(post, form, fields, { least, most });
}

async function store(
  call: Call,
  form: Form,
  fields: ReadonlyMap<string, string>,
  { least, most }: { readonly least: number; readonly most: number },
): Promise<S3Response> {
  const tagging = fields.get('tagging');
  const tags =
    tagging === undefined ? undefined : readTagging(Buffer.from(tagging, 'utf8'), MAX_OBJECT_TAGS);
  const key = customerKeyOf(call.request);
  const attributes = await writeAttributes(call, key, tags);
  const acl = fields.get('acl');
  if (acl !== undefined && acl !== 'private')
    await call.authorize('s3:PutObjectAcl', { key: call.key });
  if (tags !== undefined) await call.authorize('s3:PutObjectTagging', { key: call.key, tags });
  // How long the file is turns out as it is read.
  const plan = planBody(call.request.headers, undefined);
  const counted = countedFile(form.file, least, most);
  const payload = verifiedBody(counted, { ...plan, length: MAX_PUT_BYTES, open: true }, undefined);
  const stored = await storePayload(call, payload, key);
  try {
    const version = await call.metadata.putVersion({
      bucket: call.bucketName,
      key: call.key,
      ...stored.held,
      ...attributes,
      details: {
        ...attributes.details,
        acl: acl === undefined || acl === 'private' ? null : parseCanned(acl),
      },
    });
    return answer(call, fields, writtenHeaders(await call.bucket(), version, key));
  } catch (error) {
    await stored.abandon();
    throw error;
  }
}

function answer(
  call: Call,
  fields: ReadonlyMap<string, string>,
  written: Record<string, string>,
): S3Response {
  const location = `/${call.bucketName}/${uriEncode(call.key, true)}`;
  const redirect = fields.get('success_action_redirect') ?? fields.get('redirect');
  const target = redirect === undefined ? undefined : redirectTo(redirect, call, written['etag']!);
  if (target !== undefined) return emptyResponse(303, { ...written, location: target });
  switch (fields.get('success_action_status')) {
    case '200':
      return emptyResponse(200, { ...written, location });
    case '201':
      return {
        status: 201,
        headers: { ...written, location, 'content-type': 'application/xml' },
        body: writeXml(
          xml('PostResponse', [
            xml('Location', location),
            xml('Bucket', call.bucketName),
            xml('Key', call.key),
            xml('ETag', written['etag']!),
          ]),
        ),
      };
  }
  return emptyResponse(204, { ...written, location });
}

function redirectTo(text: string, call: Call, etag: string): string | undefined {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  url.searchParams.set('bucket', call.bucketName);
  url.searchParams.set('key', call.key);
  url.searchParams.set('etag', etag);
  return url.href;
}

function headersOf(form: Form, fields: ReadonlyMap<string, string>): HeaderList {
  const headers: Record<string, string> = {};
  for (const [name, value] of fields) {
    if (HEADER_FIELDS.test(name)) headers[name] = Buffer.from(value, 'utf8').toString('latin1');
  }
  if (headers['content-type'] === undefined && form.fileType !== undefined) {
    headers['content-type'] = form.fileType;
  }
  return HeaderList.from(headers);
}

/** The last segment of a file's name, whichever system it comes from. */
function baseName(name: string): string {
  return name.split(/[/\\]/).at(-1)!;
}

async function* countedFile(
  file: AsyncIterable<Uint8Array>,
  least: number,
  most: number,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const part of file) {
    size += part.length;
    if (size > most) {
      throw new S3Error('EntityTooLarge', undefined, {
        fields: { ProposedSize: String(size), MaxSizeAllowed: String(most) },
      });
    }
    yield part;
  }
  if (size < least) {
    throw new S3Error('EntityTooSmall', undefined, {
      fields: { ProposedSize: String(size), MinSizeAllowed: String(least) },
    });
  }
}
