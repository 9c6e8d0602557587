import { createRequire } from 'node:module';

/** What is used of the native library. Keys and signatures are bytes; malformed ones make it throw. */
export interface NativeSecp256k1 {
  /** ECDSA over a 32-byte digest, low S, nonce by RFC 6979: 64 bytes. */
  ecdsaSign(digest: Uint8Array, privateKey: Uint8Array): { readonly signature: Uint8Array };
  /** Refuses high S. */
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean;
}

/**
 * bitcoin-core's libsecp256k1 as native code, where there is a binary for this platform; else
 * undefined, and its WebAssembly build does the same four times as slowly. Loaded by this path, the
 * package has no fallback of its own: `elliptic`, which its main module would use, is never loaded.
 */
export const nativeSecp256k1: NativeSecp256k1 | undefined = load();

function load(): NativeSecp256k1 | undefined {
  try {
    return createRequire(import.meta.url)('secp256k1/bindings.js') as NativeSecp256k1;
  } catch {
    return undefined;
  }
}
