import type { OperationName } from '../operation.js';
import { bucketHandlers } from './bucket-handlers.js';
import { bucketSettingsHandlers } from './bucket-settings-handlers.js';
import { deleteHandlers } from './delete-handlers.js';
import type { Handler } from './handler.js';
import { listingHandlers } from './listing-handlers.js';
import { multipartHandlers } from './multipart-handlers.js';
import { objectSettingsHandlers } from './object-settings-handlers.js';
import { readHandlers } from './read-handlers.js';
import { writeHandlers } from './write-handlers.js';

const HANDLERS = {
  ...bucketHandlers,
  ...bucketSettingsHandlers,
  ...listingHandlers,
  ...readHandlers,
  ...writeHandlers,
  ...deleteHandlers,
  ...objectSettingsHandlers,
  ...multipartHandlers,
};

/** The handler of every operation but PostObject, which finds out itself who calls. */
export function handlerOf(operation: Exclude<OperationName, 'PostObject'>): Handler {
  const handler = HANDLERS[operation];
  if (handler === undefined) throw new Error(`there is no handler of ${operation}`);
  return handler;
}
