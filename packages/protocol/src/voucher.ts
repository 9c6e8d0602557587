import { keccak_256 } from '@noble/hashes/sha3.js';
import { type Identity, recoverPublicKey, verifySignature } from '@granary/kad';
import { z } from 'zod';
import { ProtocolError } from './errors.js';
import { amount, hash32, parseWith, signatureHex } from './fields.js';
import { fromHex, toHex } from './hex.js';

/**
 * What a voucher is good for (EIP-712, `domainSeparator`): one contract on one chain. Vouchers of
 * the ledger have chain 0 and the address of zeros, which no contract can have.
 */
export interface VoucherDomain {
  /** EIP-155 chain ID; 0 for the ledger. */
  readonly chainId: number;
  /** `0x` and 40 lower-case hex digits. */
  readonly contract: string;
}

/** The domain of vouchers that no chain settles. */
export const LEDGER_DOMAIN: VoucherDomain = { chainId: 0, contract: `0x${'0'.repeat(40)}` };

const voucherSchema = z.strictObject({ channel: hash32, amount, signature: signatureHex });
/**
 * A signed, cumulative promise: all that was promised in `channel` up to now, in the smallest unit
 * of its currency, in decimal text. The signature is 64 bytes in the compact form of EIP-2098: r,
 * then s with the parity of the nonce's point in its highest bit.
 */
export type Voucher = z.infer<typeof voucherSchema>;

const encoder = new TextEncoder();
const text = (value: string) => keccak_256(encoder.encode(value));
const DOMAIN_TYPE = text(
  'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)',
);
const VOUCHER_TYPE = text('Voucher(bytes32 channel,uint256 amount)');
const NAME = text('Granary channels');
const VERSION = text('1');
const MAX_AMOUNT = 2n ** 256n - 1n;

function word(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, '0'));
}

function join(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The digest that is signed for a voucher (EIP-712). */
export function voucherDigest(
  { chainId, contract }: VoucherDomain,
  channel: string,
  value: bigint,
): Uint8Array {
  if (value < 0n || value > MAX_AMOUNT) {
    throw new ProtocolError('PROTOCOL_RANGE', 'voucher: the amount is no unsigned 256-bit number');
  }
  const domain = keccak_256(
    join(DOMAIN_TYPE, NAME, VERSION, word(BigInt(chainId)), word(BigInt(contract))),
  );
  const struct = keccak_256(join(VOUCHER_TYPE, fromHex(channel), word(value)));
  return keccak_256(join(new Uint8Array([0x19, 0x01]), domain, struct));
}

/** Sign a voucher as the payer. @throws ProtocolError PROTOCOL_RANGE. */
export function signVoucher(
  payer: Identity,
  domain: VoucherDomain,
  channel: string,
  value: bigint,
): Voucher {
  const digest = voucherDigest(domain, channel, value);
  const signature = payer.sign(digest);
  const even = recoverPublicKey(digest, signature, 0);
  if (even === undefined || toHex(even) !== toHex(payer.publicKey)) signature[32]! |= 0x80;
  return { channel, amount: value.toString(), signature: toHex(signature) };
}

/** Parse a voucher; nothing is checked but its form. @throws ProtocolError PROTOCOL_MALFORMED. */
export function parseVoucher(value: unknown): Voucher {
  return parseWith(voucherSchema, value, 'voucher');
}

/**
 * Check that a payer signed a voucher, in the very form that a contract on a chain accepts.
 *
 * @param payerKey - compressed public key, 66 hex digits
 * @throws ProtocolError PROTOCOL_BAD_SIGNATURE.
 */
export function checkVoucher(voucher: Voucher, domain: VoucherDomain, payerKey: string): void {
  const digest = voucherDigest(domain, voucher.channel, BigInt(voucher.amount));
  const signature = fromHex(voucher.signature);
  const parity = (signature[32]! & 0x80) === 0 ? 0 : 1;
  signature[32]! &= 0x7f;
  // A high S would be another signature for the same voucher (EIP-2).
  const signer = verifySignature(fromHex(payerKey), digest, signature)
    ? recoverPublicKey(digest, signature, parity)
    : undefined;
  if (signer === undefined || toHex(signer) !== payerKey) {
    throw new ProtocolError(
      'PROTOCOL_BAD_SIGNATURE',
      "voucher: the signature is not the payer's on this channel and amount",
    );
  }
}
