import { parseAddress } from './address.js';
import { fromHex, toHex, utf8 } from './bytes.js';
import { KadError } from './errors.js';
import { type Identity, verifySignature } from './identity.js';
import { LruMap } from './lru-map.js';
import { type NodeId, isNodeId, nodeIdOf } from './node-id.js';
import { sha256 } from './sha256.js';

/** The version of the protocol that this package speaks. */
export const PROTOCOL_VERSION = 1;
/** The most addresses in a contact. */
export const MAX_ADDRESSES = 8;

/**
 * How to reach a node, signed by it. `sequence` grows when the node changes what it says, so that
 * an old contact can't displace a newer one. Without addresses it is a client: it asks, and is not
 * asked.
 */
export interface Contact {
  readonly nodeId: NodeId;
  /** Compressed secp256k1 key, 66 hex digits. */
  readonly publicKey: string;
  readonly addresses: readonly string[];
  readonly protocolVersion: number;
  readonly sequence: number;
  /** 128 hex digits. */
  readonly signature: string;
}

function digestOf(contact: Omit<Contact, 'signature' | 'nodeId'>): Uint8Array {
  const { publicKey, addresses, protocolVersion, sequence } = contact;
  return sha256(
    utf8(`granary/1 contact\0${JSON.stringify([publicKey, addresses, protocolVersion, sequence])}`),
  );
}

/** A node's own contact. `sequence` is any integer that grows, such as a time in milliseconds. */
export function signContact(
  identity: Identity,
  { addresses, sequence }: { addresses: readonly string[]; sequence: number },
): Contact {
  const body = {
    publicKey: toHex(identity.publicKey),
    addresses: [...addresses],
    protocolVersion: PROTOCOL_VERSION,
    sequence,
  };
  const signature = toHex(identity.sign(digestOf(body)));
  return sealed({ nodeId: identity.nodeId, ...body, signature });
}

// Contacts come again and again, by their signatures; what was checked once need not be checked twice.
const verified = new LruMap<string, Contact>(10_000);

// Contacts that were made or checked here. They are frozen, so that what is in the set stays true;
// what comes over a network is always another object.
const known = new WeakSet<object>();

function sealed(contact: Contact): Contact {
  Object.freeze(contact.addresses);
  known.add(Object.freeze(contact));
  return contact;
}

/**
 * Parse a contact from the network: its shape, its bounds, that its ID is the hash of its key, and
 * its signature.
 *
 * @throws KadError KAD_MALFORMED or KAD_BAD_SIGNATURE.
 */
export function parseContact(value: unknown): Contact {
  const bad = (why: string) => new KadError('KAD_MALFORMED', `contact: ${why}`);
  if (typeof value !== 'object' || value === null) throw bad('not an object');
  if (known.has(value)) return value as Contact;
  const { nodeId, publicKey, addresses, protocolVersion, sequence, signature } = value as Record<
    string,
    unknown
  >;
  const before = typeof signature === 'string' ? verified.get(signature) : undefined;
  if (before !== undefined && saysTheSame(before, value)) return before;
  if (!isNodeId(nodeId)) throw bad('nodeId is not 64 hex digits');
  if (typeof publicKey !== 'string' || !/^0[23][0-9a-f]{64}$/.test(publicKey)) {
    throw bad('publicKey is not a compressed key');
  }
  if (!Array.isArray(addresses) || addresses.length > MAX_ADDRESSES) {
    throw bad(`addresses is not a list of at most ${MAX_ADDRESSES}`);
  }
  for (const address of addresses as unknown[]) {
    if (typeof address !== 'string') throw bad('an address is not text');
    try {
      parseAddress(address);
    } catch (error) {
      throw new KadError('KAD_MALFORMED', `contact: an address is wrong`, { cause: error });
    }
  }
  if (protocolVersion !== PROTOCOL_VERSION) throw bad('its protocol version is not ours');
  if (!Number.isSafeInteger(sequence) || (sequence as number) < 0) throw bad('a wrong sequence');
  if (typeof signature !== 'string' || !/^[0-9a-f]{128}$/.test(signature)) {
    throw bad('signature is not 128 hex digits');
  }
  const contact: Contact = {
    nodeId,
    publicKey,
    addresses: addresses as string[],
    protocolVersion,
    sequence: sequence as number,
    signature,
  };
  const keyBytes = fromHex(publicKey);
  if (nodeIdOf(keyBytes) !== nodeId) {
    throw new KadError('KAD_BAD_SIGNATURE', 'contact: the node ID is not the hash of the key');
  }
  if (!verifySignature(keyBytes, digestOf(contact), fromHex(signature))) {
    throw new KadError('KAD_BAD_SIGNATURE', 'contact: the signature is not valid');
  }
  verified.set(signature, sealed(contact));
  return contact;
}

/** Whether what came is in everything that is signed, and in the signature, what was checked before. */
function saysTheSame(contact: Contact, value: Partial<Record<keyof Contact, unknown>>): boolean {
  const { addresses } = value;
  return (
    value.signature === contact.signature &&
    value.nodeId === contact.nodeId &&
    value.publicKey === contact.publicKey &&
    value.protocolVersion === contact.protocolVersion &&
    value.sequence === contact.sequence &&
    Array.isArray(addresses) &&
    addresses.length === contact.addresses.length &&
    contact.addresses.every((address, i) => addresses[i] === address)
  );
}
