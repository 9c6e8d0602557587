import { fromHex, toHex, utf8 } from '../bytes.js';
import { type Contact, parseContact } from '../contact.js';
import { KadError } from '../errors.js';
import { type Identity, verifySignature } from '../identity.js';
import { type NodeId, isNodeId } from '../node-id.js';
import { sha256 } from '../sha256.js';

/** The most characters in a letter's text. */
export const MAX_LETTER_LENGTH = 16 * 1024;

/** A text from one node to another, signed by its writer, so that whoever carries it can't forge it. */
export interface Letter {
  readonly from: Contact;
  readonly to: NodeId;
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** 32 hex digits: no two letters of one writer have the same. */
  readonly nonce: string;
  readonly text: string;
  /** 128 hex digits. */
  readonly signature: string;
}

function digestOf({ from, to, time, nonce, text }: Omit<Letter, 'signature'>): Uint8Array {
  return sha256(utf8(`granary/1 letter\0${JSON.stringify([from.nodeId, to, time, nonce, text])}`));
}

/** Write a letter. @throws KadError KAD_TOO_LARGE. */
export function writeLetter(identity: Identity, letter: Omit<Letter, 'signature'>): Letter {
  if (letter.text.length > MAX_LETTER_LENGTH) {
    throw new KadError('KAD_TOO_LARGE', `a letter has at most ${MAX_LETTER_LENGTH} characters`);
  }
  return { ...letter, signature: toHex(identity.sign(digestOf(letter))) };
}

/**
 * Parse a letter from the network and check that its writer signed it.
 *
 * @throws KadError KAD_MALFORMED or KAD_BAD_SIGNATURE.
 */
export function parseLetter(value: unknown): Letter {
  const bad = (why: string) => new KadError('KAD_MALFORMED', `letter: ${why}`);
  if (typeof value !== 'object' || value === null) throw bad('not an object');
  const { from, to, time, nonce, text, signature } = value as Record<string, unknown>;
  if (!isNodeId(to)) throw bad('to is not a node ID');
  if (!Number.isSafeInteger(time)) throw bad('time is not a whole number');
  if (typeof nonce !== 'string' || !/^[0-9a-f]{32}$/.test(nonce)) {
    throw bad('nonce is not 32 hex digits');
  }
  if (typeof text !== 'string' || text.length > MAX_LETTER_LENGTH) {
    throw bad(`text is not text of at most ${MAX_LETTER_LENGTH} characters`);
  }
  if (typeof signature !== 'string' || !/^[0-9a-f]{128}$/.test(signature)) {
    throw bad('signature is not 128 hex digits');
  }
  const letter = { from: parseContact(from), to, time: time as number, nonce, text, signature };
  const key = fromHex(letter.from.publicKey);
  if (!verifySignature(key, digestOf(letter), fromHex(signature))) {
    throw new KadError('KAD_BAD_SIGNATURE', 'letter: the signature is not valid');
  }
  return letter;
}
