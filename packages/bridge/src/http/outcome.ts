import type { S3Error } from '../s3/s3-error.js';
import type { RawRequest } from '../s3/s3-request.js';
import type { S3Response } from '../s3/s3-response.js';

/** What is to be known of a request when it has been answered; for logs and metrics. */
export interface Outcome {
  readonly response: S3Response;
  readonly operation?: string;
  readonly bucket?: string;
  readonly key?: string;
  readonly caller?: { readonly userName: string; readonly accessKeyId: string };
  /** Why it failed, with its cause. */
  readonly error?: Error & { readonly code: string; readonly status: number };
}

/** Answers requests. */
export interface Service {
  /** Answer a request. Never throws: what goes wrong is an answer, too. */
  handle(raw: RawRequest): Promise<Outcome>;
  /** Refuse a request without looking at it. */
  refuse(error: S3Error, about: Pick<RawRequest, 'id' | 'method'>): Outcome;
}
