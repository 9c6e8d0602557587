import { concatBytes, fromBase64, fromHex, toBase64, toHex, utf8 } from '../bytes.js';
import { KadError } from '../errors.js';
import { type Identity, verifySignature } from '../identity.js';
import { type NodeId, isNodeId, nodeIdOf } from '../node-id.js';
import type { Random } from '../random.js';
import { sha256 } from '../sha256.js';
import type { TopicHash } from './topic.js';

/** The most bytes in a publication's payload. */
export const MAX_PAYLOAD_BYTES = 32 * 1024;

/** A publication as it travels: JSON, signed by its publisher, never changed on its way. */
export interface PublicationWire {
  readonly topic: TopicHash;
  /** The publisher's compressed public key, 66 hex digits. */
  readonly publicKey: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** 16 random bytes, 32 hex digits. */
  readonly nonce: string;
  /** Base64. */
  readonly payload: string;
  /** ECDSA over the ID, 128 hex digits. */
  readonly signature: string;
}

/** A publication whose form has been checked; see {@link checkPublication} for its signature. */
export interface Publication {
  /**
   * SHA-256 of everything but the signature, 64 hex digits: a signature that is made anew does not
   * make another publication.
   */
  readonly id: string;
  readonly topic: TopicHash;
  readonly publisher: NodeId;
  readonly time: number;
  readonly payload: Uint8Array;
  readonly wire: PublicationWire;
}

const LABEL = 'granary/1 publication\0';

function digestOf(
  { topic, publicKey, time, nonce }: Omit<PublicationWire, 'payload' | 'signature'>,
  payload: Uint8Array,
): Uint8Array {
  // JSON has no NUL in it: where the head ends is plain.
  const head = utf8(`${LABEL}${JSON.stringify([topic, publicKey, time, nonce])}\0`);
  return sha256(concatBytes(head, payload));
}

// What was made or parsed here is frozen; the same object need not be looked at twice.
const known = new WeakMap<object, Publication>();
const valid = new WeakSet<Publication>();

function remember(publication: Publication): Publication {
  known.set(Object.freeze(publication.wire), publication);
  return publication;
}

/** @throws KadError KAD_TOO_LARGE. */
export function makePublication(
  identity: Identity,
  topic: TopicHash,
  payload: Uint8Array,
  { time, random }: { time: number; random: Random },
): Publication {
  if (payload.length > MAX_PAYLOAD_BYTES) {
    throw new KadError('KAD_TOO_LARGE', `a publication has at most ${MAX_PAYLOAD_BYTES} bytes`);
  }
  const head = { topic, publicKey: toHex(identity.publicKey), time, nonce: toHex(random(16)) };
  const digest = digestOf(head, payload);
  const signature = toHex(identity.sign(digest));
  const publication = remember({
    id: toHex(digest),
    topic,
    publisher: identity.nodeId,
    time,
    payload: payload.slice(),
    wire: { ...head, payload: toBase64(payload), signature },
  });
  valid.add(publication);
  return publication;
}

/**
 * Parse a publication from the network: its form and bounds, not yet its signature, so that what was
 * seen before costs no more than a hash.
 *
 * @throws KadError KAD_MALFORMED.
 */
export function parsePublication(value: unknown): Publication {
  const bad = (why: string) => new KadError('KAD_MALFORMED', `publication: ${why}`);
  if (typeof value !== 'object' || value === null) throw bad('not an object');
  const made = known.get(value);
  if (made !== undefined) return made;
  const { topic, publicKey, time, nonce, payload, signature } = value as Record<string, unknown>;
  if (!isNodeId(topic)) throw bad('topic is not 64 hex digits');
  if (typeof publicKey !== 'string' || !/^0[23][0-9a-f]{64}$/.test(publicKey)) {
    throw bad('publicKey is not a compressed key');
  }
  if (!Number.isSafeInteger(time) || (time as number) < 0) throw bad('a wrong time');
  if (typeof nonce !== 'string' || !/^[0-9a-f]{32}$/.test(nonce)) {
    throw bad('nonce is not 32 hex digits');
  }
  if (typeof signature !== 'string' || !/^[0-9a-f]{128}$/.test(signature)) {
    throw bad('signature is not 128 hex digits');
  }
  if (typeof payload !== 'string' || payload.length > Math.ceil(MAX_PAYLOAD_BYTES / 3) * 4) {
    throw bad(`payload is not base64 of at most ${MAX_PAYLOAD_BYTES} bytes`);
  }
  let bytes: Uint8Array;
  try {
    bytes = fromBase64(payload);
  } catch (error) {
    throw new KadError('KAD_MALFORMED', 'publication: payload is not base64', { cause: error });
  }
  if (bytes.length > MAX_PAYLOAD_BYTES) throw bad(`payload has over ${MAX_PAYLOAD_BYTES} bytes`);
  const head = { topic, publicKey, time: time as number, nonce };
  return remember({
    id: toHex(digestOf(head, bytes)),
    topic,
    publisher: nodeIdOf(fromHex(publicKey)),
    time: time as number,
    payload: bytes,
    wire: { ...head, payload, signature },
  });
}

/** Check the signature. @throws KadError KAD_BAD_SIGNATURE. */
export function checkPublication(publication: Publication): void {
  if (valid.has(publication)) return;
  const { publicKey, signature } = publication.wire;
  if (!verifySignature(fromHex(publicKey), fromHex(publication.id), fromHex(signature))) {
    throw new KadError('KAD_BAD_SIGNATURE', "the publication's signature is not valid");
  }
  valid.add(publication);
}
