import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalIp, isNodePort, isOtherMachine } from './own-address.js';
import { chooseHelpers, networksOf } from './helpers.js';
import { type Answer, agreedAddresses, judge } from './verdict.js';

const random = (count: number) => new Uint8Array(count).map(() => Math.random() * 256);
const at = (...ips: string[]) => ips.map((ip) => ({ addresses: [`https://${ip}:4600`] }));

describe('what helpers say together', () => {
  it('is reachable only by a majority of those that tried, when they are enough', () => {
    const answers = fc.array(fc.constantFrom<Answer>('reached', 'failed', 'silent'), {
      maxLength: 9,
    });
    fc.assert(
      fc.property(answers, fc.nat(4), (all, enough) => {
        const { reached, failed, silent, verdict } = judge('a', all, enough);
        expect(reached + failed + silent).toBe(all.length);
        const decided = reached + failed >= Math.max(1, enough);
        expect(verdict !== 'undecided').toBe(decided);
        if (decided) expect(verdict === 'reachable').toBe(reached > failed);
      }),
    );
  });

  it('names an address of ours only when two agree, or nobody says otherwise', () => {
    expect(agreedAddresses([])).toEqual([]);
    expect(agreedAddresses(['203.0.113.1'])).toEqual(['203.0.113.1']);
    expect(agreedAddresses(['203.0.113.1', '6.6.6.6', '203.0.113.1'])).toEqual(['203.0.113.1']);
    expect(agreedAddresses(['203.0.113.1', '6.6.6.6'])).toEqual([]);
    expect(agreedAddresses(['203.0.113.1', '203.0.113.1', '2001:db8::1'])).toEqual([
      '203.0.113.1',
      '2001:db8::1',
    ]);
  });
});

describe('helpers', () => {
  it('are of networks as different as there are, and of ours last', () => {
    const contacts = at('198.18.1.1', '198.18.1.2', '198.18.2.1', '198.18.3.1', '198.18.9.1');
    for (let i = 0; i < 20; i += 1) {
      const chosen = chooseHelpers(contacts, 4, random, ['198.18.9']);
      const networks = chosen.slice(0, 3).flatMap((one) => networksOf(one));
      expect(new Set(networks)).toEqual(new Set(['198.18.1', '198.18.2', '198.18.3']));
      expect(networksOf(chosen[3]!)).toEqual(['198.18.1']);
    }
    expect(chooseHelpers(contacts, 9, random, ['198.18.9'])).toHaveLength(5);
    expect(chooseHelpers([], 3, random)).toEqual([]);
  });

  it('are each chosen once', () => {
    fc.assert(
      fc.property(fc.array(fc.ipV4(), { maxLength: 12 }), fc.nat(8), (ips, count) => {
        const contacts = at(...ips);
        const chosen = chooseHelpers(contacts, count, random);
        expect(chosen).toHaveLength(Math.min(count, contacts.length));
        expect(new Set(chosen).size).toBe(chosen.length);
      }),
    );
  });
});

describe('addresses', () => {
  it('have one form', () => {
    expect(canonicalIp('::ffff:203.0.113.1')).toBe('203.0.113.1');
    expect(canonicalIp('::FFFF:cb00:7101')).toBe('203.0.113.1');
    expect(canonicalIp('2001:DB8:0:0:0:0:0:1')).toBe('2001:db8::1');
    expect(canonicalIp('fe80::1%eth0')).toBe('fe80::1');
    for (const bad of ['', 'farm.example.org', '203.0.113', '203.0.113.1:1', '0x7f.1', '1']) {
      expect(canonicalIp(bad), bad).toBeUndefined();
    }
  });

  it('that are no other machine are known', () => {
    for (const own of [
      '127.0.0.1',
      '127.9.9.9',
      '0.0.0.0',
      '169.254.169.254',
      '224.0.0.1',
      '::1',
    ]) {
      expect(isOtherMachine(own), own).toBe(false);
    }
    for (const own of ['::', 'fe80::1', 'ff02::1', '255.255.255.255']) {
      expect(isOtherMachine(own), own).toBe(false);
    }
    for (const other of ['203.0.113.1', '192.168.1.1', '2001:db8::1', 'fd00::1']) {
      expect(isOtherMachine(other), other).toBe(true);
    }
  });

  it('have ports that nodes may have', () => {
    expect([443, 1024, 4600, 65_535].every(isNodePort)).toBe(true);
    expect([22, 25, 80, 1023].some(isNodePort)).toBe(false);
  });
});
