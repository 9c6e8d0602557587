import { KadError } from './errors.js';
import { type NodeId, isNodeId } from './node-id.js';
import { sha256 } from './sha256.js';

/**
 * What is hashed before the node ID. Sixteen bytes, so that the ID begins at a word of SHA-256's
 * block and label and ID fit into one block.
 */
export const PROOF_OF_WORK_LABEL = 'granary/1 proof\0';

/** The highest difficulty that can be asked for: no one can make an identity that meets it. */
export const MAX_DIFFICULTY = 256;

const LABEL = new TextEncoder().encode(PROOF_OF_WORK_LABEL);

/** @throws KadError KAD_BAD_PARAMETERS unless a difficulty is a whole number from 0 to 256. */
export function checkDifficulty(bits: number): void {
  if (!Number.isInteger(bits) || bits < 0 || bits > MAX_DIFFICULTY) {
    throw new KadError(
      'KAD_BAD_PARAMETERS',
      `a difficulty is a whole number of bits from 0 to ${MAX_DIFFICULTY}, not ${bits}`,
    );
  }
}

/**
 * The work that went into an identity, in bits: the leading zero bits of
 * SHA-256({@link PROOF_OF_WORK_LABEL} ‖ node ID). This is the static crypto puzzle of S/Kademlia
 * (Baumgart and Mies 2007, section 4.1): the ID is the hash of the public key, and a second hash is
 * the puzzle, so that IDs stay uniform and nobody chooses where in the ID space to be.
 *
 * @returns 0 to 256; half of all identities have 0
 * @throws KadError KAD_BAD_PARAMETERS when the text is no node ID.
 */
export function difficultyOf(nodeId: NodeId): number {
  if (!isNodeId(nodeId)) {
    throw new KadError('KAD_BAD_PARAMETERS', 'a node ID has 64 lower-case hex digits');
  }
  const message = new Uint8Array(LABEL.length + 32);
  message.set(LABEL);
  for (let i = 0; i < 32; i += 1) {
    message[LABEL.length + i] = parseInt(nodeId.slice(2 * i, 2 * i + 2), 16);
  }
  return leadingZeroBits(sha256(message));
}

/**
 * Whether an identity cost at least `bits` of work. Whoever reads the ID can check it; that its
 * holder has the key, its signatures show.
 *
 * @param bits - whole, 0 to 256; 0 asks for nothing
 * @throws KadError KAD_BAD_PARAMETERS when either is malformed.
 */
export function meetsDifficulty(nodeId: NodeId, bits: number): boolean {
  checkDifficulty(bits);
  return difficultyOf(nodeId) >= bits;
}

/** Keys to try for an identity of a difficulty, in the mean: 2 to the number of bits. */
export function expectedAttempts(bits: number): number {
  checkDifficulty(bits);
  return 2 ** bits;
}

/**
 * The chance, 0 to 1, that so many keys hold one that meets a difficulty. Attempts have no memory:
 * after the expected number it is 63 %, after three times that 95 %.
 */
export function chanceOfSolution(bits: number, attempts: number): number {
  checkDifficulty(bits);
  return -Math.expm1(attempts * Math.log1p(-(2 ** -bits)));
}

/** Zero bits at the front of some bytes. */
function leadingZeroBits(bytes: Uint8Array): number {
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? bytes.length * 8 : first * 8 + Math.clz32(bytes[first]!) - 24;
}
