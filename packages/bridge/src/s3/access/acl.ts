import type { HeaderList } from '../header-list.js';
import { S3Error, invalidArgument, notImplemented } from '../s3-error.js';
import { type XmlNode, readXml } from '../xml-reader.js';
import { S3_NAMESPACE, type XmlElement, writeXml, xml } from '../xml-writer.js';
import type { Action } from './actions.js';

/** The canned ACLs that mean something here. */
export const CANNED_ACLS = [
  'private',
  'public-read',
  'public-read-write',
  'authenticated-read',
  'bucket-owner-read',
  'bucket-owner-full-control',
] as const;

/** A canned ACL: besides the owner, who may do what. */
export type CannedAcl = (typeof CANNED_ACLS)[number];

/** Who an owner is, as ACLs show it. */
export interface AclOwner {
  readonly id: string;
  readonly name: string;
}

const ALL_USERS = 'http://acs.amazonaws.com/groups/global/AllUsers';
const AUTHENTICATED = 'http://acs.amazonaws.com/groups/global/AuthenticatedUsers';

/** Read what was kept as an ACL; nothing means private. */
export function parseAcl(stored: unknown): CannedAcl {
  return CANNED_ACLS.find((acl) => acl === stored) ?? 'private';
}

/** The canned ACL that a request asks for. @throws S3Error InvalidArgument, NotImplemented. */
export function aclHeader(headers: HeaderList): CannedAcl | undefined {
  for (const name of headers.names()) {
    if (name.startsWith('x-amz-grant-')) throw notImplemented(`The header ${name}`);
  }
  const value = headers.get('x-amz-acl');
  return value === undefined ? undefined : parseCanned(value);
}

/** A canned ACL by its name. @throws S3Error InvalidArgument, NotImplemented. */
export function parseCanned(value: string): CannedAcl {
  const acl = CANNED_ACLS.find((name) => name === value);
  if (acl !== undefined) return acl;
  if (value === 'aws-exec-read' || value === 'log-delivery-write') {
    throw notImplemented(`The canned ACL ${value}`);
  }
  throw invalidArgument('x-amz-acl', value.slice(0, 100), 'The canned ACL is not known');
}

/**
 * Read an `AccessControlPolicy` that says no more than a canned ACL does: the owner's full control and
 * grants to the groups of all or of all signed-in users.
 *
 * @throws S3Error MalformedACLError, NotImplemented for grants to single users.
 */
export function readAcl(bytes: Uint8Array): CannedAcl {
  const policy = readXml(bytes, 'AccessControlPolicy');
  const grants = policy.child('AccessControlList')?.all('Grant');
  if (grants === undefined) throw new S3Error('MalformedACLError');
  const owner = policy.child('Owner')?.textOf('ID');
  const found = new Set<string>();
  for (const grant of grants) found.add(groupGrant(grant, owner));
  found.delete('owner');
  const all = [...found].sort().join(' ');
  switch (all) {
    case '':
      return 'private';
    case `${ALL_USERS} READ`:
      return 'public-read';
    case `${ALL_USERS} READ ${ALL_USERS} WRITE`:
      return 'public-read-write';
    case `${AUTHENTICATED} READ`:
      return 'authenticated-read';
  }
  throw notImplemented('An ACL that no canned ACL equals');
}

function groupGrant(grant: XmlNode, owner: string | undefined): string {
  const grantee = grant.child('Grantee');
  const permission = grant.textOf('Permission');
  if (grantee === undefined || permission === undefined) throw new S3Error('MalformedACLError');
  const uri = grantee.textOf('URI');
  if (uri === ALL_USERS || uri === AUTHENTICATED) return `${uri} ${permission}`;
  const id = grantee.textOf('ID');
  if (id !== undefined && (owner === undefined || id === owner) && permission === 'FULL_CONTROL') {
    return 'owner';
  }
  throw notImplemented('A grant to a single user (use a bucket policy)');
}

/** Write an ACL as an `AccessControlPolicy`. */
export function writeAcl(acl: CannedAcl, owner: AclOwner, bucketOwner: AclOwner = owner): string {
  const user = ({ id, name }: AclOwner, permission: string): XmlElement =>
    grantOf('CanonicalUser', [xml('ID', id), xml('DisplayName', name)], permission);
  const group = (uri: string, permission: string): XmlElement =>
    grantOf('Group', [xml('URI', uri)], permission);
  const grants = [user(owner, 'FULL_CONTROL')];
  switch (acl) {
    case 'public-read-write':
      grants.push(group(ALL_USERS, 'READ'), group(ALL_USERS, 'WRITE'));
      break;
    case 'public-read':
      grants.push(group(ALL_USERS, 'READ'));
      break;
    case 'authenticated-read':
      grants.push(group(AUTHENTICATED, 'READ'));
      break;
    case 'bucket-owner-read':
    case 'bucket-owner-full-control':
      if (bucketOwner.id !== owner.id) {
        grants.push(user(bucketOwner, acl === 'bucket-owner-read' ? 'READ' : 'FULL_CONTROL'));
      }
  }
  return writeXml(
    xml(
      'AccessControlPolicy',
      [
        xml('Owner', [xml('ID', owner.id), xml('DisplayName', owner.name)]),
        xml('AccessControlList', grants),
      ],
      { xmlns: S3_NAMESPACE },
    ),
  );
}

function grantOf(type: string, grantee: XmlElement[], permission: string): XmlElement {
  return xml('Grant', [
    xml('Grantee', grantee, {
      'xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance',
      'xsi:type': type,
    }),
    xml('Permission', permission),
  ]);
}

const BUCKET_READ: ReadonlySet<Action> = new Set<Action>([
  's3:ListBucket',
  's3:ListBucketVersions',
  's3:ListBucketMultipartUploads',
]);
const BUCKET_WRITE: ReadonlySet<Action> = new Set<Action>([
  's3:PutObject',
  's3:DeleteObject',
  's3:AbortMultipartUpload',
  's3:ListMultipartUploadParts',
]);
const OBJECT_READ: ReadonlySet<Action> = new Set<Action>(['s3:GetObject', 's3:GetObjectVersion']);

/** Whether ACLs let somebody who is not the owner do something. */
export function aclAllows(
  action: Action,
  acls: { readonly bucket: CannedAcl; readonly object?: CannedAcl },
  signedIn: boolean,
): boolean {
  const reads = (acl: CannedAcl) =>
    acl === 'public-read' ||
    acl === 'public-read-write' ||
    (acl === 'authenticated-read' && signedIn);
  if (BUCKET_READ.has(action)) return reads(acls.bucket);
  if (BUCKET_WRITE.has(action)) return acls.bucket === 'public-read-write';
  return OBJECT_READ.has(action) && acls.object !== undefined && reads(acls.object);
}
