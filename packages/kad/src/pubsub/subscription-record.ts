import { fromHex, toHex, utf8 } from '../bytes.js';
import { type Contact, parseContact } from '../contact.js';
import { KadError } from '../errors.js';
import { field, idField } from '../fields.js';
import { type Identity, verifySignature } from '../identity.js';
import { sha256 } from '../sha256.js';
import type { TopicHash } from './topic.js';

/** "I subscribe to this topic", signed by the subscriber, so that nobody can be named who does not. */
export interface SubscriptionRecord {
  readonly topic: TopicHash;
  readonly contact: Contact;
  /** Milliseconds since the epoch. */
  readonly expires: number;
  /** ECDSA by the contact's key, 128 hex digits. */
  readonly signature: string;
}

function digestOf(topic: TopicHash, nodeId: string, expires: number): Uint8Array {
  return sha256(utf8(`granary/1 subscription\0${JSON.stringify([topic, nodeId, expires])}`));
}

const valid = new WeakSet<object>();

export function makeRecord(
  identity: Identity,
  contact: Contact,
  topic: TopicHash,
  expires: number,
): SubscriptionRecord {
  const signature = toHex(identity.sign(digestOf(topic, identity.nodeId, expires)));
  const record = Object.freeze({ topic, contact, expires, signature });
  valid.add(record);
  return record;
}

/**
 * Parse a record from the network, for a topic and a time.
 *
 * @throws KadError KAD_BAD_PARAMETERS, KAD_MALFORMED, KAD_STALE or KAD_BAD_SIGNATURE.
 */
export function parseRecord(
  value: unknown,
  { topic, now, lifeMs }: { topic: TopicHash; now: number; lifeMs: number },
): SubscriptionRecord {
  const contact = parseContact(field(value, 'contact'));
  const expires = field(value, 'expires');
  const signature = field(value, 'signature');
  if (idField(value, 'topic') !== topic || contact.addresses.length === 0) {
    throw new KadError('KAD_BAD_PARAMETERS', 'the record is of another topic, or has no address');
  }
  // A minute is granted to clocks that differ.
  const fits = Number.isSafeInteger(expires) && (expires as number) <= now + lifeMs + 60_000;
  if (!fits || (expires as number) <= now) {
    throw new KadError('KAD_STALE', 'the record has expired, or lives too long');
  }
  if (typeof signature !== 'string' || !/^[0-9a-f]{128}$/.test(signature)) {
    throw new KadError('KAD_MALFORMED', 'signature is not 128 hex digits');
  }
  if (valid.has(value as object)) return value as SubscriptionRecord;
  const digest = digestOf(topic, contact.nodeId, expires as number);
  if (!verifySignature(fromHex(contact.publicKey), digest, fromHex(signature))) {
    throw new KadError('KAD_BAD_SIGNATURE', 'the signature of the record is not valid');
  }
  const record = Object.freeze({ topic, contact, expires: expires as number, signature });
  valid.add(record);
  return record;
}
