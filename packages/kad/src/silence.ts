import { KadError } from './errors.js';

const SILENCE = new Set<string>([
  'KAD_UNREACHABLE',
  'KAD_TIMEOUT',
  'KAD_IDENTITY_MISMATCH',
  'KAD_BAD_CERTIFICATE',
]);

/** Whether an error means that nobody answered (and not that somebody answered with an error). */
export function isSilence(error: unknown): boolean {
  return error instanceof KadError && SILENCE.has(error.code);
}
