import { type Contact, fromUtf8, parseContact, utf8 } from '@granary/kad';
import { z } from 'zod';
import { ProtocolError } from './errors.js';
import { type FarmerTerms, parseFarmerTerms } from './farmer-terms.js';
import { amount, byteCount, hash32, nonce16, parseWith, timestamp } from './fields.js';

/** The topic on which renters publish what they want to store. */
export const OFFERS_TOPIC = 'granary/offers/1';
/** The most nodes that keep letters for a renter. */
export const MAX_RELAYS = 3;
/** How far an offer's end may lie ahead, in milliseconds. */
export const MAX_OFFER_MS = 120_000;

const offerSchema = z.strictObject({
  version: z.literal(1),
  id: nonce16,
  renter: hash32,
  shardSize: byteCount,
  durationMs: byteCount,
  maxStoragePrice: amount.nullable(),
  maxEgressPrice: amount.nullable(),
  share: z.number().gt(0).max(1),
  expires: timestamp,
  relays: z.array(z.unknown()).max(MAX_RELAYS),
});

/**
 * What a renter wants to store, published to all farmers: shards of at most `shardSize` bytes for
 * `durationMs`, at prices (as in {@link FarmerTerms}) of at most so much. Only a `share` of the
 * farmers is asked to answer, so that a large network does not answer with thousands. It binds
 * nobody: contracts are signed later, farmer by farmer.
 */
export interface Offer extends Omit<z.infer<typeof offerSchema>, 'relays'> {
  /** Nodes that keep letters for the renter; nobody when it has addresses itself. */
  readonly relays: readonly Contact[];
}

/** An offer as the payload of a publication. */
export function encodeOffer(offer: Offer): Uint8Array {
  return utf8(JSON.stringify(offer));
}

/**
 * Parse an offer from a publication.
 *
 * @param publisher - who signed the publication, and so must be the renter
 * @param now - milliseconds since the epoch
 * @throws ProtocolError PROTOCOL_MALFORMED, PROTOCOL_BAD_SIGNATURE or PROTOCOL_EXPIRED.
 */
export function parseOffer(payload: Uint8Array, publisher: string, now: number): Offer {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(payload));
  } catch {
    throw new ProtocolError('PROTOCOL_MALFORMED', 'offer: not JSON');
  }
  const { relays, ...offer } = parseWith(offerSchema, value, 'offer');
  if (offer.renter !== publisher) {
    throw new ProtocolError('PROTOCOL_BAD_SIGNATURE', 'offer: it is of another renter');
  }
  if (offer.expires <= now || offer.expires > now + MAX_OFFER_MS) {
    throw new ProtocolError('PROTOCOL_EXPIRED', 'offer: it has expired, or ends too late');
  }
  try {
    return { ...offer, relays: relays.map((relay) => parseContact(relay)) };
  } catch (error) {
    throw new ProtocolError('PROTOCOL_MALFORMED', 'offer: a relay is no contact', { cause: error });
  }
}

const answerSchema = z.strictObject({ offer: nonce16, terms: z.unknown() });

/** What a farmer writes to a renter whose offer suits it; the letter is signed. */
export interface OfferAnswer {
  /** The ID of the offer. */
  readonly offer: string;
  readonly terms: FarmerTerms;
}

/** An answer as the text of a letter. */
export function encodeOfferAnswer(answer: OfferAnswer): string {
  return JSON.stringify(answer);
}

/** Parse an answer from a letter. @throws ProtocolError PROTOCOL_MALFORMED. */
export function parseOfferAnswer(text: string): OfferAnswer {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ProtocolError('PROTOCOL_MALFORMED', 'answer to an offer: not JSON');
  }
  const { offer, terms } = parseWith(answerSchema, value, 'answer to an offer');
  return { offer, terms: parseFarmerTerms(terms) };
}
