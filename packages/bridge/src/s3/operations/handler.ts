import type { Call } from '../call.js';
import type { OperationName } from '../operation.js';
import type { S3Response } from '../s3-response.js';

/** Answers an operation. Authorization is its own task: what it takes depends on what it finds. */
export type Handler = (call: Call) => Promise<S3Response>;

/** The handlers of some operations. */
export type Handlers = Partial<Record<OperationName, Handler>>;
