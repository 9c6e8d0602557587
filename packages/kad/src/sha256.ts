/** SHA-256 (FIPS 180-4): 32 bytes, at once. Node's own in Node, `@noble/hashes` in browsers. */
export { sha256, sha256Each } from '#kad/platform';
