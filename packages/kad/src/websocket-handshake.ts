import { concatBytes, utf8 } from './bytes.js';
import { KadError } from './errors.js';
import { type Identity, verifySignature } from './identity.js';
import { type NodeId, nodeIdOf } from './node-id.js';
import type { Random } from './random.js';
import { sha256 } from './sha256.js';

// How the two ends of a WebSocket prove who they are (docs/decisions/0009). Who accepted speaks
// first: its key and a challenge. Who dialled sees whether that is the node it wants before it says
// anything, answers with its own key and challenge and a signature over all four, and the other does
// the same. Both challenges are fresh, so that nothing can be replayed; both keys are signed, so that
// nothing can be passed on to a third node; the roles are signed, so that nothing can be sent back.

const VERSION = 1;
const KEY = 33;
const CHALLENGE = 32;
const SIGNATURE = 64;
/** What a connection is for: it is signed, so that a proof for one is none for another. */
export type SocketPurpose = 'websocket' | 'transfer';

/** A side's half of what is signed. */
export interface Introduction {
  /** Compressed secp256k1 key, 33 bytes. */
  readonly publicKey: Uint8Array;
  readonly nodeId: NodeId;
  /** 32 fresh random bytes. */
  readonly challenge: Uint8Array;
}

/** Which side of a connection signs. */
export type Role = 'acceptor' | 'dialer';

/** Our own introduction. */
export function introduce(identity: Identity, random: Random): Introduction {
  return {
    publicKey: identity.publicKey,
    nodeId: identity.nodeId,
    challenge: random(CHALLENGE),
  };
}

function digestOf(
  purpose: SocketPurpose,
  role: Role,
  acceptor: Introduction,
  dialer: Introduction,
): Uint8Array {
  return sha256(
    concatBytes(
      utf8(`granary/1 ${purpose}\0`),
      Uint8Array.of(role === 'acceptor' ? 0 : 1),
      acceptor.publicKey,
      dialer.publicKey,
      acceptor.challenge,
      dialer.challenge,
    ),
  );
}

/** A side's proof that it has its key: 64 bytes. */
export function prove(
  identity: Identity,
  role: Role,
  acceptor: Introduction,
  dialer: Introduction,
  purpose: SocketPurpose = 'websocket',
): Uint8Array {
  return identity.sign(digestOf(purpose, role, acceptor, dialer));
}

/** @throws KadError KAD_IDENTITY_MISMATCH when the proof is not by the key that was shown. */
export function checkProof(
  proof: Uint8Array,
  role: Role,
  acceptor: Introduction,
  dialer: Introduction,
  purpose: SocketPurpose = 'websocket',
): void {
  const { publicKey, nodeId } = role === 'acceptor' ? acceptor : dialer;
  if (!verifySignature(publicKey, digestOf(purpose, role, acceptor, dialer), proof)) {
    throw new KadError(
      'KAD_IDENTITY_MISMATCH',
      `the other side did not prove that it is ${nodeId}`,
    );
  }
}

/** What the acceptor says first: version, key, challenge. */
export function encodeIntroduction({ publicKey, challenge }: Introduction): Uint8Array {
  return concatBytes(Uint8Array.of(VERSION), publicKey, challenge);
}

/** @throws KadError KAD_MALFORMED. */
export function parseIntroduction(bytes: Uint8Array): Introduction {
  if (bytes[0] !== VERSION) {
    throw new KadError('KAD_MALFORMED', 'the other side speaks another version of the handshake');
  }
  if (bytes.length !== 1 + KEY + CHALLENGE) {
    throw new KadError('KAD_MALFORMED', 'the other side’s introduction has a wrong length');
  }
  // Copies: the bytes may lie in a buffer that is used again.
  const publicKey = new Uint8Array(bytes.subarray(1, 1 + KEY));
  const challenge = new Uint8Array(bytes.subarray(1 + KEY));
  return { publicKey, nodeId: nodeIdOf(publicKey), challenge };
}

/** What the dialer answers: its introduction and its proof. */
export function encodeAnswer(dialer: Introduction, proof: Uint8Array): Uint8Array {
  return concatBytes(encodeIntroduction(dialer), proof);
}

/** @throws KadError KAD_MALFORMED. */
export function parseAnswer(bytes: Uint8Array): { dialer: Introduction; proof: Uint8Array } {
  if (bytes.length !== 1 + KEY + CHALLENGE + SIGNATURE) {
    throw new KadError('KAD_MALFORMED', 'the other side’s answer has a wrong length');
  }
  const at = bytes.length - SIGNATURE;
  return { dialer: parseIntroduction(bytes.subarray(0, at)), proof: bytes.subarray(at) };
}
