import { type Contact, messageOf } from '@granary/kad';
import {
  MAX_GRANT_LIFETIME,
  PUT_SHARE_METHOD,
  REVOKE_READER_METHOD,
  type ReaderRevocation,
  type ShareRecord,
  shareKeyOf,
} from '@granary/protocol';
import { RenterError } from './errors.js';
import type { RenterCore } from './renter-core.js';

// What shares and access grants have in common: how long, where their records lie, and how they are taken back.

const DAY = 24 * 3600 * 1000;
/** Leave of a share without an end, or with a late one, is good for so long, and made anew in time. */
const GRANT_MS = 180 * DAY;
/** Leave is made anew when it is good for less than this, in milliseconds. */
export const REGRANT_MS = 90 * DAY;
/** Records are placed anew so often though nothing has changed, in milliseconds: nodes come and go. */
export const REFRESH_MS = DAY;
/** How long it is said of a share that it came to its end, in milliseconds. */
export const KEEP_ENDED_MS = 30 * DAY;
/** Farmers that a row names; beyond that, those of today are told. */
export const MAX_FARMERS = 4096;
/** Nodes that must keep a record before it counts, where there are as many. */
const COPIES = 3;
const TIMEOUT_MS = 10_000;
/** Farmers told of a revocation at one time. */
const PARALLEL = 8;

/** Whether the time of something is over. */
export function isOver({ expires }: { readonly expires: number | null }, now: number): boolean {
  return expires !== null && expires <= now;
}

/** Until when farmers get leave, in milliseconds since the epoch. */
export function grantEnd(expires: number | null, now: number): number {
  return Math.min(expires ?? Infinity, now + Math.min(GRANT_MS, MAX_GRANT_LIFETIME));
}

/** Hand a record to the nodes nearest to its place. @throws RenterError RENTER_SHARE when too few took it. */
export async function placeShareRecord(
  { network, logger }: Pick<RenterCore, 'network' | 'logger'>,
  record: ShareRecord,
  signal: AbortSignal,
): Promise<void> {
  const { share, page } = record.body;
  const { contacts } = await network.node.lookup(shareKeyOf(share, page), { signal });
  const reasons: string[] = [];
  let copies = 0;
  const put = async (contact: Contact) => {
    try {
      const options = { signal, timeoutMs: TIMEOUT_MS };
      const answer = await network.node.call(contact, PUT_SHARE_METHOD, record, options);
      if ((answer as { kept?: unknown }).kept === true) copies += 1;
      else reasons.push('another process of this owner was quicker');
    } catch (error) {
      reasons.push(messageOf(error));
      logger.debug({ node: contact.nodeId, error: messageOf(error) }, 'no share record kept');
    }
  };
  await Promise.all(contacts.map(put));
  signal.throwIfAborted();
  if (copies < Math.min(COPIES, Math.max(1, contacts.length))) {
    throw new RenterError(
      'RENTER_SHARE',
      `${copies} of ${contacts.length} nodes took the share's record` +
        (reasons.length > 0 ? ` (last: ${reasons.at(-1)})` : ''),
    );
  }
}

/** Tell farmers to serve a reader no more. @returns those that have confirmed it */
export async function tellFarmers(
  { network, directory, logger }: Pick<RenterCore, 'network' | 'directory' | 'logger'>,
  revocation: ReaderRevocation,
  farmers: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const waiting = [...farmers];
  const told = new Set<string>();
  await network.join();
  const work = async () => {
    for (let farmer = waiting.pop(); farmer !== undefined; farmer = waiting.pop()) {
      signal.throwIfAborted();
      try {
        const contact = await directory.contactOf(farmer);
        const options = { signal, timeoutMs: TIMEOUT_MS };
        await network.node.call(contact, REVOKE_READER_METHOD, revocation, options);
        told.add(farmer);
      } catch (error) {
        signal.throwIfAborted();
        logger.info({ farmer, error: messageOf(error) }, 'a revocation was not delivered');
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return told;
}

/**
 * The one row of an ID, or of the beginning of one.
 *
 * @param what - what such a row is of, for the error
 * @throws RenterError RENTER_NOT_FOUND when there is none, or more than one.
 */
export function rowOf<T extends { readonly id: string }>(
  rows: readonly T[],
  id: string,
  what: string,
): T {
  const found = rows.filter((row) => id !== '' && row.id.startsWith(id));
  const [row] = found;
  if (row === undefined || found.length > 1) {
    throw new RenterError(
      'RENTER_NOT_FOUND',
      row === undefined ? `there is no ${what} ${id}` : `there are several ${what}s ${id}…`,
    );
  }
  return row;
}
