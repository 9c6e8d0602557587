import type { OperationName } from '../operation.js';

/** What it takes to do an operation, in the words of IAM. Those on objects have a key. */
export type Action =
  | 's3:AbortMultipartUpload'
  | 's3:BypassGovernanceRetention'
  | 's3:CreateBucket'
  | 's3:DeleteBucket'
  | 's3:DeleteBucketPolicy'
  | 's3:DeleteObject'
  | 's3:DeleteObjectTagging'
  | 's3:DeleteObjectVersion'
  | 's3:DeleteObjectVersionTagging'
  | 's3:GetBucketAcl'
  | 's3:GetBucketCORS'
  | 's3:GetBucketLocation'
  | 's3:GetBucketObjectLockConfiguration'
  | 's3:GetBucketPolicy'
  | 's3:GetBucketPolicyStatus'
  | 's3:GetBucketTagging'
  | 's3:GetBucketVersioning'
  | 's3:GetEncryptionConfiguration'
  | 's3:GetLifecycleConfiguration'
  | 's3:GetObject'
  | 's3:GetObjectAcl'
  | 's3:GetObjectAttributes'
  | 's3:GetObjectLegalHold'
  | 's3:GetObjectRetention'
  | 's3:GetObjectTagging'
  | 's3:GetObjectVersion'
  | 's3:GetObjectVersionAcl'
  | 's3:GetObjectVersionAttributes'
  | 's3:GetObjectVersionTagging'
  | 's3:ListAllMyBuckets'
  | 's3:ListBucket'
  | 's3:ListBucketMultipartUploads'
  | 's3:ListBucketVersions'
  | 's3:ListMultipartUploadParts'
  | 's3:PutBucketAcl'
  | 's3:PutBucketCORS'
  | 's3:PutBucketObjectLockConfiguration'
  | 's3:PutBucketPolicy'
  | 's3:PutBucketTagging'
  | 's3:PutBucketVersioning'
  | 's3:PutEncryptionConfiguration'
  | 's3:PutLifecycleConfiguration'
  | 's3:PutObject'
  | 's3:PutObjectAcl'
  | 's3:PutObjectLegalHold'
  | 's3:PutObjectRetention'
  | 's3:PutObjectTagging'
  | 's3:PutObjectVersionAcl'
  | 's3:PutObjectVersionTagging';

/** The action of each operation; a second one where a version is named. */
const ACTIONS: Readonly<Record<OperationName, Action | readonly [Action, Action]>> = {
  ListBuckets: 's3:ListAllMyBuckets',
  GetBucketAcl: 's3:GetBucketAcl',
  PutBucketAcl: 's3:PutBucketAcl',
  GetBucketCors: 's3:GetBucketCORS',
  PutBucketCors: 's3:PutBucketCORS',
  DeleteBucketCors: 's3:PutBucketCORS',
  GetBucketEncryption: 's3:GetEncryptionConfiguration',
  PutBucketEncryption: 's3:PutEncryptionConfiguration',
  DeleteBucketEncryption: 's3:PutEncryptionConfiguration',
  GetBucketLifecycleConfiguration: 's3:GetLifecycleConfiguration',
  PutBucketLifecycleConfiguration: 's3:PutLifecycleConfiguration',
  DeleteBucketLifecycle: 's3:PutLifecycleConfiguration',
  GetBucketLocation: 's3:GetBucketLocation',
  GetObjectLockConfiguration: 's3:GetBucketObjectLockConfiguration',
  PutObjectLockConfiguration: 's3:PutBucketObjectLockConfiguration',
  GetBucketPolicy: 's3:GetBucketPolicy',
  PutBucketPolicy: 's3:PutBucketPolicy',
  DeleteBucketPolicy: 's3:DeleteBucketPolicy',
  GetBucketPolicyStatus: 's3:GetBucketPolicyStatus',
  GetBucketTagging: 's3:GetBucketTagging',
  PutBucketTagging: 's3:PutBucketTagging',
  DeleteBucketTagging: 's3:PutBucketTagging',
  ListMultipartUploads: 's3:ListBucketMultipartUploads',
  GetBucketVersioning: 's3:GetBucketVersioning',
  PutBucketVersioning: 's3:PutBucketVersioning',
  ListObjectVersions: 's3:ListBucketVersions',
  // Asked for each key besides.
  DeleteObjects: 's3:DeleteObject',
  ListObjectsV2: 's3:ListBucket',
  ListObjects: 's3:ListBucket',
  CreateBucket: 's3:CreateBucket',
  HeadBucket: 's3:ListBucket',
  DeleteBucket: 's3:DeleteBucket',
  PostObject: 's3:PutObject',
  GetObjectAcl: ['s3:GetObjectAcl', 's3:GetObjectVersionAcl'],
  PutObjectAcl: ['s3:PutObjectAcl', 's3:PutObjectVersionAcl'],
  GetObjectAttributes: ['s3:GetObjectAttributes', 's3:GetObjectVersionAttributes'],
  GetObjectLegalHold: 's3:GetObjectLegalHold',
  PutObjectLegalHold: 's3:PutObjectLegalHold',
  GetObjectRetention: 's3:GetObjectRetention',
  PutObjectRetention: 's3:PutObjectRetention',
  GetObjectTagging: ['s3:GetObjectTagging', 's3:GetObjectVersionTagging'],
  PutObjectTagging: ['s3:PutObjectTagging', 's3:PutObjectVersionTagging'],
  DeleteObjectTagging: ['s3:DeleteObjectTagging', 's3:DeleteObjectVersionTagging'],
  CreateMultipartUpload: 's3:PutObject',
  UploadPartCopy: 's3:PutObject',
  UploadPart: 's3:PutObject',
  ListParts: 's3:ListMultipartUploadParts',
  CompleteMultipartUpload: 's3:PutObject',
  AbortMultipartUpload: 's3:AbortMultipartUpload',
  GetObject: ['s3:GetObject', 's3:GetObjectVersion'],
  HeadObject: ['s3:GetObject', 's3:GetObjectVersion'],
  CopyObject: 's3:PutObject',
  PutObject: 's3:PutObject',
  DeleteObject: ['s3:DeleteObject', 's3:DeleteObjectVersion'],
};

/** The action that an operation takes, on a version that is named or not. */
export function actionOf(operation: OperationName, versioned: boolean): Action {
  const action = ACTIONS[operation];
  return typeof action === 'string' ? action : action[versioned ? 1 : 0];
}
