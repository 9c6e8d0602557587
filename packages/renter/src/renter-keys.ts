import { hkdf } from '#renter/crypto';
import { entropyToMnemonic, generateMnemonic, mnemonicToEntropy } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { Identity } from '@granary/kad';
import { RenterError } from './errors.js';

/** Bytes of the master secret: 24 words of BIP-39. */
export const ENTROPY_SIZE = 32;

/** 24 new words (BIP-39, English), from the operating system's randomness. */
export function generateWords(): string {
  return generateMnemonic(wordlist, ENTROPY_SIZE * 8);
}

/**
 * The master secret that 24 words stand for.
 *
 * @throws RenterError RENTER_BAD_WORDS when a word or the checksum is wrong.
 */
export function entropyFromWords(words: string): Uint8Array {
  const normal = words.trim().toLowerCase().split(/\s+/).join(' ');
  if (normal.split(' ').length !== 24) {
    throw new RenterError('RENTER_BAD_WORDS', 'a master secret has 24 words: check what you typed');
  }
  try {
    return mnemonicToEntropy(normal, wordlist);
  } catch {
    throw new RenterError(
      'RENTER_BAD_WORDS',
      'these 24 words do not belong together: check their spelling and order',
    );
  }
}

/** The 24 words of a master secret. */
export function wordsFromEntropy(entropy: Uint8Array): string {
  return entropyToMnemonic(entropy, wordlist);
}

/** HKDF-SHA-256 (RFC 5869): 32 bytes of key for one purpose. */
export function deriveKey(secret: Uint8Array, salt: Uint8Array, purpose: string): Uint8Array {
  return hkdf(secret, salt, `granary/1 ${purpose}`, 32);
}

const NO_SALT = new Uint8Array(0);

/** Every key of a renter, derived from the master secret. */
export class RenterKeys {
  private constructor(
    /** The node identity that signs contracts and messages. */
    readonly identity: Identity,
    private readonly master: Uint8Array,
    /** Seals what the renter keeps in its own store. */
    readonly storeKey: Uint8Array,
    /** Seals the root record of the index in the network. */
    readonly rootKey: Uint8Array,
    /** Seals exports. */
    readonly exportKey: Uint8Array,
  ) {}

  /** @throws RenterError RENTER_BAD_WORDS when the secret is not 32 bytes. */
  static fromEntropy(entropy: Uint8Array): RenterKeys {
    if (entropy.length !== ENTROPY_SIZE) {
      throw new RenterError('RENTER_BAD_WORDS', 'a master secret has 32 bytes');
    }
    const master = entropy.slice();
    return new RenterKeys(
      Identity.fromPrivateKey(deriveKey(master, NO_SALT, 'identity')),
      master,
      deriveKey(master, NO_SALT, 'store'),
      deriveKey(master, NO_SALT, 'root'),
      deriveKey(master, NO_SALT, 'export'),
    );
  }

  /** What belongs to one share: who signs its pages, and the secret of its link. */
  share(id: Uint8Array): { owner: Identity; secret: Uint8Array } {
    return {
      owner: Identity.fromPrivateKey(deriveKey(this.master, id, 'share owner')),
      secret: deriveKey(this.master, id, 'share secret'),
    };
  }

  /** What belongs to one access grant: who signs its record, and its secret. */
  grant(id: Uint8Array): { owner: Identity; secret: Uint8Array } {
    return {
      owner: Identity.fromPrivateKey(deriveKey(this.master, id, 'grant owner')),
      secret: deriveKey(this.master, id, 'grant secret'),
    };
  }

  /** The key of one object, from which its segments' keys come. */
  objectKey(objectId: Uint8Array): Uint8Array {
    return deriveKey(this.master, objectId, 'object');
  }
}
