import type { Random } from '@granary/kad';

/** 32 letters and digits, none of which looks like another. */
const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789';

/** A new access key: an ID of 20 characters, and a secret of 240 random bits. */
export function generateAccessKey(random: Random): {
  readonly id: string;
  readonly secret: string;
} {
  const letters = [...random(18)].map((byte) => ALPHABET[byte % ALPHABET.length]);
  return { id: `GR${letters.join('')}`, secret: Buffer.from(random(30)).toString('base64url') };
}
