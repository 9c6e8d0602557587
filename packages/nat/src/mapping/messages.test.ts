import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NatError } from '../errors.js';
import { nonce } from './hostile-router.test-support.js';
import {
  decodeAddress,
  decodeMap,
  encodeAddressRequest,
  encodeMapRequest,
} from './nat-pmp-messages.js';
import { decodePcpMap, encodePcpMap } from './pcp-messages.js';

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'));

describe('NAT-PMP messages', () => {
  it('are those of RFC 6886', () => {
    expect(encodeAddressRequest()).toEqual(hex('0000'));
    expect(
      encodeMapRequest({ internalPort: 4600, externalPort: 40_000, lifetimeSeconds: 3600 }),
    ).toEqual(hex('0002 0000 11f8 9c40 00000e10'));
    expect(decodeAddress(hex('0080 0000 00000001 cb007101'))).toBe('203.0.113.1');
    expect(decodeMap(hex('0082 0000 00000001 11f8 9c41 00000e10'), 4600)).toEqual({
      externalPort: 40_001,
      lifetimeSeconds: 3600,
    });
  });

  it('name why the router refuses', () => {
    expect(() => decodeAddress(hex('0080 0003 00000001 00000000'))).toThrow(/no connection/);
    expect(() => decodeMap(hex('0082 0002 00000001 11f8 0000 00000000'), 4600)).toThrow(
      /turned off/,
    );
    expect(() => decodeMap(hex('0082 0000 0000'), 4600)).toThrow(/answer of 6 bytes/);
  });

  it('for another port are not ours', () => {
    expect(decodeMap(hex('0082 0000 00000001 11f9 9c41 00000e10'), 4600)).toBeUndefined();
    expect(decodeMap(hex('0080 0000 00000001 cb007101'), 4600)).toBeUndefined();
  });
});

describe('PCP messages', () => {
  const request = {
    clientAddress: '192.168.1.10',
    nonce,
    internalPort: 4600,
    externalPort: 40_000,
    lifetimeSeconds: 3600,
  };
  const answer = hex(`
    02 81 00 00 00000e10 00000001 000000000000000000000000
    0102030405060708090a0b0c 06 000000 11f8 9c41
    00000000000000000000ffff cb007101`);

  it('are those of RFC 6887', () => {
    expect(encodePcpMap(request)).toEqual(
      hex(`
        02 01 0000 00000e10 00000000000000000000ffff c0a8010a
        0102030405060708090a0b0c 06 000000 11f8 9c40
        00000000000000000000ffff 00000000`),
    );
    expect(decodePcpMap(answer, request)).toEqual({
      externalAddress: '203.0.113.1',
      externalPort: 40_001,
      lifetimeSeconds: 3600,
    });
  });

  it('with another nonce or port are not ours', () => {
    const other = Uint8Array.from(answer);
    other[24] = 9;
    expect(decodePcpMap(other, request)).toBeUndefined();
    expect(decodePcpMap(answer, { ...request, internalPort: 1 })).toBeUndefined();
  });

  it('say when the router speaks NAT-PMP only, and why it refuses', () => {
    expect(() => decodePcpMap(hex('0081 0001 00000001'), request)).toThrow(/speaks NAT-PMP/);
    const refused = Uint8Array.from(answer);
    refused[3] = 8;
    expect(() => decodePcpMap(refused, request)).toThrow(/no more room/);
    expect(() => decodePcpMap(hex('0281 0002'), request)).toThrow(/not allowed/);
    expect(() => decodePcpMap(hex('0281 0000'), request)).toThrow(/answer of 4 bytes/);
  });

  it('grant a day at most', () => {
    const long = Uint8Array.from(answer);
    long.fill(0xff, 4, 8);
    expect(decodePcpMap(long, request)?.lifetimeSeconds).toBe(86_400);
  });

  it('whatever comes, is read, passed over or refused with a typed error', () => {
    const mutated = fc.tuple(
      fc.constantFrom(answer, hex('0082 0000 00000001 11f8 9c41 00000e10')),
      fc.array(fc.tuple(fc.nat(59), fc.nat(255)), { maxLength: 6 }),
      fc.nat(70),
    );
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 1200 })), (input) => {
        let bytes: Uint8Array;
        if (input instanceof Uint8Array) {
          bytes = input;
        } else {
          const [start, changes, length] = input;
          bytes = Uint8Array.from(start);
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          bytes = bytes.subarray(0, length);
        }
        for (const decode of [
          () => decodePcpMap(bytes, request),
          () => decodeMap(bytes, 4600),
          () => decodeAddress(bytes),
        ]) {
          try {
            const value = decode();
            if (typeof value === 'object') {
              expect(value.externalPort).toBeGreaterThanOrEqual(0);
              expect(value.externalPort).toBeLessThanOrEqual(65_535);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(NatError);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
