import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressGroup, groupsOf, hasRoomFor } from './address-group.js';
import { signContact } from './contact.js';
import { Identity } from './identity.js';

describe('the group of an address', () => {
  it.each([
    ['20.1.2.3', '20.1.2'],
    ['20.1.2.255', '20.1.2'],
    ['::ffff:20.1.2.3', '20.1.2'],
    ['2001:db8:1:2::5', '2001:db8:1'],
    ['2001:DB8:1::', '2001:db8:1'],
    ['2001:db8::1', '2001:db8:0'],
    ['farmer.example.org', 'example.org'],
    ['EXAMPLE.org', 'example.org'],
  ])('%s is of %s', (host, group) => expect(addressGroup(host)).toBe(group));

  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.9.9',
    '192.168.1.1',
    '169.254.0.1',
    '::1',
    'fd00::1',
    'fe80::1%eth0',
    '::ffff:127.0.0.1',
    'localhost',
    'a.localhost',
  ])('%s is of none', (host) => expect(addressGroup(host)).toBeUndefined());

  it('is one for a whole /24 and a whole /48, and never throws', () => {
    const byte = fc.nat({ max: 255 });
    fc.assert(
      fc.property(byte, byte, byte, byte, byte, (a, b, c, d, e) => {
        expect(addressGroup(`${a}.${b}.${c}.${d}`)).toBe(addressGroup(`${a}.${b}.${c}.${e}`));
      }),
    );
    fc.assert(fc.property(fc.string(), (text) => void addressGroup(text)));
  });
});

describe('room for a contact', () => {
  const contact = (...addresses: string[]) => ({
    contact: signContact(Identity.generate(), { addresses, sequence: 1 }),
  });
  const others = [contact('https://20.1.1.1:1'), contact('https://20.1.1.2:1')];

  it('is there until its group has its share', () => {
    const newcomer = contact('https://20.1.1.9:1').contact;
    expect(hasRoomFor(newcomer, others, 2)).toBe(false);
    expect(hasRoomFor(newcomer, others, 3)).toBe(true);
    expect(hasRoomFor(contact('https://20.1.2.9:1').contact, others, 2)).toBe(true);
    expect(hasRoomFor(others[0]!.contact, others, 2)).toBe(true);
  });

  it('is not made by an address of another group besides', () => {
    const newcomer = contact('https://20.9.9.9:1', 'https://20.1.1.9:1').contact;
    expect(groupsOf(newcomer)).toEqual(['20.9.9', '20.1.1']);
    expect(hasRoomFor(newcomer, others, 2)).toBe(false);
  });
});
