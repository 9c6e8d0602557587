import { toBase64 } from '@granary/kad';
import { z } from 'zod';
import { ProtocolError } from './errors.js';

/** The most bytes sealed in a record that farmers keep near a place in the DHT. */
export const MAX_SEALED_SIZE = 128 * 1024;

/** What numbered, sealed records have in common: of two with one place the higher number wins. */
export const sealedFields = {
  sequence: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
  sealed: z
    .string()
    .max(Math.ceil(MAX_SEALED_SIZE / 3) * 4)
    .regex(/^[A-Za-z0-9+/]*={0,2}$/, 'must be base64'),
};

/** Sealed bytes as a record carries them. @throws ProtocolError PROTOCOL_TOO_LARGE. */
export function sealedText(sealed: Uint8Array, label: string): string {
  if (sealed.length > MAX_SEALED_SIZE) {
    throw new ProtocolError('PROTOCOL_TOO_LARGE', `${label}: over ${MAX_SEALED_SIZE} bytes`);
  }
  return toBase64(sealed);
}
