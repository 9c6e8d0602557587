import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressGroup } from './address-group.js';
import { parseAddress } from './address.js';
import { signContact, parseContact } from './contact.js';
import { directDialer } from './direct-dialer.js';
import { faultOfHiddenHost, hiddenNetworkOf } from './hidden-host.js';
import { Identity } from './identity.js';

/** From the appendix of Tor's rend-spec-v3, and the site of the Tor Project. */
const ONIONS = [
  'pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion',
  'sp3k262uwy4r2k3ycr5awluarykdpag6a7y33jxop4cs2lu5uz5sseqd.onion',
  'xa4r2iadxm55fbnqgwwi5mymqdcofiu3w6rpbtqn7b2dyn7mgwj64jyd.onion',
  '2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion',
];
const I2P = `${'ukeu3k5oycgaauneqgtnvselmt4yemvoilkln7jpvamvfx7dnkdq'}.b32.i2p`;

describe('names of hidden networks', () => {
  it.each([
    [ONIONS[0]!, 'onion'],
    ['X.ONION', 'onion'],
    ['x.onion.', 'onion'],
    ['onion', 'onion'],
    ['a.b.i2p', 'i2p'],
    ['onion.example.org', undefined],
    ['example.onions', undefined],
    ['1.2.3.4', undefined],
    ['::1', undefined],
    ['', undefined],
  ])('%s is of %s', (host, network) => expect(hiddenNetworkOf(host)).toBe(network));

  it.each([...ONIONS, `www.${ONIONS[0]}`, I2P, `${'a'.repeat(56)}.b32.i2p`, 'example.org', '::1'])(
    'has nothing against %s',
    (host) => expect(faultOfHiddenHost(host)).toBeUndefined(),
  );

  it.each([
    'onion',
    '.onion',
    'x.onion',
    'expyuzz4wqqyqhjn.onion', // version 2
    `${'a'.repeat(56)}.onion`,
    `${ONIONS[0]}.`,
    ONIONS[0]!.replace('.onion', '1.onion'),
    ONIONS[0]!.toUpperCase(),
    'i2p',
    'stats.i2p',
    'b32.i2p',
    `${'a'.repeat(51)}.b32.i2p`,
    `${'a'.repeat(51)}b.b32.i2p`,
    `${'a'.repeat(51)}1.b32.i2p`,
    `${I2P}.`,
    `x.${I2P}`,
  ])('does not take %s', (host) => expect(faultOfHiddenHost(host)).toBeTypeOf('string'));

  it('finds nearly any one letter of an onion address that is wrong', () => {
    // The checksum has 16 bits: one in 65,536 is not found.
    const missed: string[] = [];
    for (const onion of ONIONS) {
      for (let at = 0; at < 56; at += 1) {
        for (const other of 'abcdefghijklmnopqrstuvwxyz234567') {
          const wrong = `${onion.slice(0, at)}${other}${onion.slice(at + 1)}`;
          if (wrong !== onion && faultOfHiddenHost(wrong) === undefined) missed.push(wrong);
        }
      }
    }
    expect(missed).toEqual([`23${ONIONS[3]!.slice(2)}`]);
  });

  it('are parsed in addresses, and refused there with what is wrong', () => {
    expect(parseAddress(`https://${ONIONS[0]!.toUpperCase()}:4600`)).toEqual({
      scheme: 'https',
      host: ONIONS[0],
      port: 4600,
    });
    expect(() => parseAddress('https://expyuzz4wqqyqhjn.onion:4600')).toThrow(/version 3/);
    expect(() => parseAddress('https://stats.i2p')).toThrow(/b32\.i2p/);
    const identity = Identity.generate();
    const contact = (address: string) =>
      JSON.parse(
        JSON.stringify(signContact(identity, { addresses: [address], sequence: 1 })),
      ) as object;
    expect(parseContact(contact(`https://${I2P}:4600`))).toMatchObject({ sequence: 1 });
    expect(() => parseContact(contact('https://x.onion:1'))).toThrow(/address/);
  });

  it('have 16 groups each, by their first 4 bits', () => {
    const label = fc.array(fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz234567'), {
      minLength: 56,
      maxLength: 56,
    });
    const groups = new Set<string | undefined>();
    fc.assert(
      fc.property(label, (letters) => {
        const group = addressGroup(`${letters.join('')}.onion`);
        groups.add(group);
        expect(group).toMatch(/^onion\/[0-9a-f]$/);
        expect(addressGroup(`www.${letters.join('')}.onion`)).toBe(group);
        expect(addressGroup(`${letters.join('')}.b32.i2p`)).toBe(group?.replace('onion', 'i2p'));
      }),
      { numRuns: 500 },
    );
    expect(groups.size).toBe(16);
    expect(addressGroup('aaaa.onion')).toBe(addressGroup('bbbb.onion'));
    expect(addressGroup('aaaa.onion')).not.toBe(addressGroup('cccc.onion'));
  });

  it('are never dialled directly, nor looked up', async () => {
    for (const host of [ONIONS[0]!, 'x.onion', 'x.onion.', I2P, 'x.i2p']) {
      expect(directDialer.dials(host)).toBe(false);
      await expect(directDialer.dial(host, 1, { timeoutMs: 10_000 })).rejects.toMatchObject({
        code: 'KAD_BAD_ADDRESS',
        message: expect.stringContaining('--proxy socks5h://') as string,
      });
    }
  });
});
