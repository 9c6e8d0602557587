import { FarmerRefusal, RenterError } from './errors.js';
import type { NotEnoughShards } from './segment-download.js';

// What it means for who reads by a link or an access grant that something can't be read.

const refusals = ({ reasons }: NotEnoughShards) =>
  reasons.flatMap((reason) => (reason instanceof FarmerRefusal ? [reason.code] : []));

/** Whether farmers refused, and were not merely away. */
export function isRefusal(error: NotEnoughShards): boolean {
  return refusals(error).length > 0;
}

/** What it means that farmers refuse what a share asks for; undefined when it means nothing more. */
export function explain(error: NotEnoughShards): RenterError | undefined {
  const codes = refusals(error);
  const cause = { cause: error };
  if (codes.includes('FARMER_REVOKED')) {
    return new RenterError('RENTER_SHARE_ENDED', 'the owner has taken this share back', cause);
  }
  if (codes.includes('PROTOCOL_EXPIRED')) {
    return new RenterError(
      'RENTER_SHARE_EXPIRED',
      "farmers' leave to serve this share has expired, and its owner has not renewed it",
      cause,
    );
  }
  if (codes.includes('FARMER_USED_UP')) {
    return new RenterError(
      'RENTER_SHARE_LIMIT',
      'this share was read as often as its owner has allowed: ask for another one',
      cause,
    );
  }
  if (codes.includes('FARMER_UNPAID')) {
    return new RenterError(
      'RENTER_SHARE_LIMIT',
      "farmers wait to be paid by the share's owner for what was read: try again later",
      cause,
    );
  }
  if (codes.filter((code) => code === 'FARMER_NOT_FOUND').length > error.spare) {
    return new RenterError(
      'RENTER_SHARE_ENDED',
      'farmers have no longer what was shared: its owner has deleted or replaced it',
      cause,
    );
  }
  return undefined;
}

const ENDINGS = {
  revoked: 'its owner has taken this share back',
  deleted: 'its owner has deleted what was shared',
  replaced: 'its owner has replaced what was shared by another version: ask for another link',
} as const;

const day = (ms: number) => `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

/** What is said of a share whose owner has said that it is over. */
export function ended(why: keyof typeof ENDINGS, at: number): RenterError {
  return new RenterError('RENTER_SHARE_ENDED', `${ENDINGS[why]} (${day(at)})`);
}

/** What is said of a share whose time is over. */
export function expired(at: number): RenterError {
  return new RenterError('RENTER_SHARE_EXPIRED', `this share has expired (${day(at)})`);
}
