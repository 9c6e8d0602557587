import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Identity } from '@granary/kad';
// viem is the reference: another implementation of EIP-712 and of addresses.
import {
  hashTypedData,
  recoverTypedDataAddress,
  parseCompactSignature,
  serializeSignature,
  compactSignatureToSignature,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import {
  LEDGER_DOMAIN,
  checkVoucher,
  evmAddressOf,
  parseVoucher,
  signVoucher,
  toHex,
  voucherDigest,
} from './index.js';

const payer = Identity.generate();
const payerKey = toHex(payer.publicKey);
const domain = { chainId: 31337, contract: `0x${'ab'.repeat(20)}` };
const channel = 'cd'.repeat(32);
const typed = (value: bigint, id = channel) => ({
  domain: {
    name: 'Granary channels',
    version: '1',
    chainId: domain.chainId,
    verifyingContract: domain.contract as `0x${string}`,
  },
  types: {
    Voucher: [
      { name: 'channel', type: 'bytes32' },
      { name: 'amount', type: 'uint256' },
    ],
  },
  primaryType: 'Voucher' as const,
  message: { channel: `0x${id}` as `0x${string}`, amount: value },
});

describe('vouchers', () => {
  it('have the digest and the signer that another implementation of EIP-712 finds', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.bigInt({ min: 0n, max: 10n ** 38n }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        async (value, id) => {
          const data = typed(value, toHex(id));
          expect(`0x${toHex(voucherDigest(domain, toHex(id), value))}`).toBe(hashTypedData(data));
          const voucher = signVoucher(payer, domain, toHex(id), value);
          const compact = parseCompactSignature(`0x${voucher.signature}`);
          const signature = serializeSignature(compactSignatureToSignature(compact));
          const signer = await recoverTypedDataAddress({ ...data, signature });
          expect(signer.toLowerCase()).toBe(evmAddressOf(payerKey));
          checkVoucher(voucher, domain, payerKey);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('have the address that another implementation finds', () => {
    for (let i = 0; i < 20; i += 1) {
      const identity = Identity.generate();
      const account = privateKeyToAccount(`0x${toHex(identity.exportPrivateKey())}`);
      expect(evmAddressOf(toHex(identity.publicKey))).toBe(account.address.toLowerCase());
    }
    expect(() => evmAddressOf(`02${'ff'.repeat(32)}`)).toThrow(/no point/);
  });

  it('are good for one payer, channel, amount, chain and contract only', () => {
    const voucher = signVoucher(payer, domain, channel, 7n);
    const refused = (change: object, otherDomain = domain, key = payerKey) =>
      expect(() => checkVoucher({ ...voucher, ...change }, otherDomain, key)).toThrow(/signature/);
    refused({ amount: '8' });
    refused({ channel: 'ce'.repeat(32) });
    refused({}, { ...domain, chainId: 1 });
    refused({}, { ...domain, contract: `0x${'ac'.repeat(20)}` });
    refused({}, LEDGER_DOMAIN);
    refused({}, domain, toHex(Identity.generate().publicKey));
    refused({ signature: '00'.repeat(64) });
    refused({ signature: 'ff'.repeat(64) });
    const flipped = Buffer.from(voucher.signature, 'hex');
    flipped[32]! ^= 0x80;
    refused({ signature: flipped.toString('hex') });
  });

  it('are refused with a high s, of which no contract takes any', () => {
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const { signature } = signVoucher(payer, domain, channel, 7n);
    const parityBit = 1n << 255n;
    const s = BigInt(`0x${signature.slice(64)}`) & (parityBit - 1n);
    const high = (order - s).toString(16).padStart(64, '0');
    const voucher = { channel, amount: '7', signature: signature.slice(0, 64) + high };
    expect(() => checkVoucher(voucher, domain, payerKey)).toThrow(/signature/);
  });

  it('are refused when they are malformed', () => {
    const voucher = signVoucher(payer, LEDGER_DOMAIN, channel, 0n);
    expect(parseVoucher(voucher)).toEqual(voucher);
    for (const change of [
      { amount: '-1' },
      { amount: '1.5' },
      { amount: '01' },
      { amount: 1 },
      { signature: 'zz' },
      { channel: '' },
      { more: 1 },
    ]) {
      expect(() => parseVoucher({ ...voucher, ...change })).toThrow(/voucher/);
    }
    expect(() => signVoucher(payer, domain, channel, -1n)).toThrow(/unsigned/);
    expect(() => signVoucher(payer, domain, channel, 2n ** 256n)).toThrow(/unsigned/);
  });
});
