import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from './address.js';
import { type Contact, parseContact, signContact } from './contact.js';
import { Identity } from './identity.js';
import { sha256 } from './sha256.js';

const identity = Identity.generate();
const good = signContact(identity, { addresses: ['https://127.0.0.1:4000'], sequence: 7 });

function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { code?: unknown }).code ?? error;
  }
  return 'nothing was thrown';
}

/** A contact that is signed as it should be, whatever it says. */
function forge(fields: Partial<Record<keyof Contact, unknown>>): unknown {
  const { publicKey, addresses, protocolVersion, sequence } = { ...good, ...fields };
  const text = JSON.stringify([publicKey, addresses, protocolVersion, sequence]);
  const digest = sha256(Buffer.from(`granary/1 contact\0${text}`));
  return { ...good, ...fields, signature: Buffer.from(identity.sign(digest)).toString('hex') };
}

describe('a contact', () => {
  it('comes back from JSON as it was', () => {
    expect(parseContact(JSON.parse(JSON.stringify(good)))).toEqual(good);
  });

  it('is taken when this test forges nothing', () => {
    expect(parseContact(forge({}))).toEqual(good);
  });

  it('may have no address, and up to eight', () => {
    for (const count of [0, 1, 8]) {
      const addresses = Array.from({ length: count }, (_, i) => `https://127.0.0.1:${4000 + i}`);
      const contact = signContact(identity, { addresses, sequence: 0 });
      expect(parseContact({ ...contact }).addresses).toEqual(addresses);
    }
  });

  it('loses fields that do not belong to it', () => {
    expect(parseContact({ ...good, more: 'x'.repeat(1000) })).toEqual(good);
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['text', 'contact'],
    ['a list', [good]],
    ['an ID in capitals', { ...good, nodeId: good.nodeId.toUpperCase() }],
    ['a short ID', { ...good, nodeId: good.nodeId.slice(1) }],
    ['an ID with a line break after it', { ...good, nodeId: `${good.nodeId}\n` }],
    ['an uncompressed key', { ...good, publicKey: `04${'0'.repeat(128)}` }],
    ['a key of another type', { ...good, publicKey: 7 }],
    ['nine addresses', forge({ addresses: Array<string>(9).fill('https://h:1') })],
    ['addresses that are no list', forge({ addresses: 'https://h:1' })],
    ['addresses that look like a list', forge({ addresses: { length: 0 } })],
    ['an address of another type', forge({ addresses: [null] })],
    ['a plain http address', forge({ addresses: ['http://127.0.0.1:80'] })],
    ['a file address', forge({ addresses: ['file:///etc/passwd'] })],
    ['an overlong address', forge({ addresses: [`https://${'a'.repeat(260)}:1`] })],
    ['an address with credentials', forge({ addresses: ['https://u:p@h:1'] })],
    ['another protocol version', forge({ protocolVersion: 2 })],
    ['a sequence below zero', forge({ sequence: -1 })],
    ['a broken sequence', forge({ sequence: 1.5 })],
    ['an endless sequence', forge({ sequence: 2 ** 53 })],
    ['a sequence in text', forge({ sequence: '7' })],
    ['no signature', { ...good, signature: undefined }],
    ['a signature in capitals', { ...good, signature: good.signature.toUpperCase() }],
    ['a short signature', { ...good, signature: good.signature.slice(2) }],
  ])('is malformed with %s', (_name, value) => {
    expect(codeOf(() => parseContact(value))).toBe('KAD_MALFORMED');
  });

  it.each<[string, unknown]>([
    ['other addresses', { ...good, addresses: ['https://127.0.0.1:4001'] }],
    ['no addresses', { ...good, addresses: [] }],
    ['a newer sequence', { ...good, sequence: good.sequence + 1 }],
    ["another node's signature", { ...good, signature: foreign().signature }],
    ["another node's key", { ...good, publicKey: foreign().publicKey }],
    ["another node's ID", { ...good, nodeId: foreign().nodeId }],
    ['key and signature of another node', { ...foreign(), nodeId: good.nodeId }],
  ])('is not believed with %s', (_name, value) => {
    expect(codeOf(() => parseContact(value))).toBe('KAD_BAD_SIGNATURE');
  });

  it('is the same object when it comes again, and not believed with any field changed', () => {
    const fromAfar = () => JSON.parse(JSON.stringify(foreign())) as Contact;
    const first = parseContact(fromAfar());
    expect(parseContact(fromAfar())).toBe(first);
    const changes: Partial<Record<keyof Contact, unknown>>[] = [
      { publicKey: good.publicKey },
      { nodeId: good.nodeId },
      { nodeId: good.nodeId, publicKey: good.publicKey },
      { addresses: [] },
      { addresses: [...first.addresses, ...first.addresses] },
      { addresses: ['https://127.0.0.1:4001'] },
      { sequence: first.sequence + 1 },
      { signature: good.signature },
    ];
    for (const change of changes) {
      const value = { ...fromAfar(), ...change };
      expect(codeOf(() => parseContact(value))).toBe('KAD_BAD_SIGNATURE');
    }
    for (const change of [{ protocolVersion: 2 }, { addresses: first.addresses.join() }]) {
      expect(codeOf(() => parseContact({ ...fromAfar(), ...change }))).toBe('KAD_MALFORMED');
    }
    expect(parseContact(fromAfar())).toBe(first);
  });

  it('throws nothing but typed errors, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.jsonValue(),
          fc.record(
            {
              nodeId: fc.oneof(fc.constant(good.nodeId), fc.jsonValue()),
              publicKey: fc.oneof(fc.constant(good.publicKey), fc.jsonValue()),
              addresses: fc.oneof(fc.array(fc.webUrl(), { maxLength: 10 }), fc.jsonValue()),
              protocolVersion: fc.oneof(fc.constant(1), fc.jsonValue()),
              sequence: fc.oneof(fc.maxSafeNat(), fc.jsonValue()),
              signature: fc.oneof(fc.constant(good.signature), fc.jsonValue()),
            },
            { requiredKeys: [] },
          ),
        ),
        (value) => {
          expect(['KAD_MALFORMED', 'KAD_BAD_SIGNATURE']).toContain(
            codeOf(() => parseContact(value)),
          );
        },
      ),
      { numRuns: 500 },
    );
  });
});

let other: Contact | undefined;
function foreign(): Contact {
  other ??= signContact(Identity.generate(), { addresses: good.addresses, sequence: 7 });
  return other;
}

describe('an address', () => {
  const id = good.nodeId;

  it.each<[string, object]>([
    ['https://127.0.0.1:4000', { scheme: 'https', host: '127.0.0.1', port: 4000 }],
    ['https://127.0.0.1:4000/', { scheme: 'https', host: '127.0.0.1', port: 4000 }],
    ['https://node.example', { scheme: 'https', host: 'node.example', port: 443 }],
    ['https://[::1]:4000', { scheme: 'https', host: '::1', port: 4000 }],
    ['wss://node.example:4000', { scheme: 'wss', host: 'node.example', port: 4000 }],
    ['wss://node.example', { scheme: 'wss', host: 'node.example', port: 443 }],
    ['ws://127.0.0.1', { scheme: 'ws', host: '127.0.0.1', port: 80 }],
    [`ws://[::1]:4000/${id}`, { scheme: 'ws', host: '::1', port: 4000, nodeId: id }],
    [
      `https://[2001:db8::1]:4000/${id}`,
      { scheme: 'https', host: '2001:db8::1', port: 4000, nodeId: id },
    ],
  ])('%s is understood', (text, address) => {
    expect(parseAddress(text)).toEqual(address);
  });

  it.each([
    '',
    'node.example:4000',
    'http://node.example:4000',
    'ftp://node.example:4000',
    'ws://',
    'ws://node.example:0',
    'wss://node.example:4000/dht',
    'https://',
    'https://:4000',
    'https://node.example:0',
    'https://node.example:65536',
    'https://node.example:-1',
    'https://node.example:4000/rpc',
    `https://node.example:4000/${id.toUpperCase()}`,
    `https://node.example:4000/${id}/`,
    'https://node.example:4000?x=1',
    'https://node.example:4000#x',
    'https://user@node.example:4000',
    'https://::1:4000',
    `https://node.example:4000/${'0'.repeat(300)}`,
    'javascript:alert(1)',
  ])('"%s" is refused with what to write instead', (text) => {
    expect(codeOf(() => parseAddress(text))).toBe('KAD_BAD_ADDRESS');
    expect(() => parseAddress(text)).toThrow('https://host:port');
  });

  it('comes back after it was written', () => {
    const hosts = fc.oneof(
      fc.ipV4().filter((host) => new URL(`https://${host}`).hostname === host),
      fc.ipV6().map((host) => new URL(`https://[${host}]`).hostname.slice(1, -1)),
    );
    fc.assert(
      fc.property(
        fc.constantFrom('https' as const, 'wss' as const, 'ws' as const),
        hosts,
        fc.integer({ min: 1, max: 65535 }),
        (scheme, host, port) => {
          const address = { scheme, host, port };
          // Once more, since what was parsed is remembered.
          for (let i = 0; i < 2; i += 1) {
            expect(parseAddress(formatAddress(address))).toEqual(address);
          }
        },
      ),
    );
  });

  it('throws nothing but its own error, whatever comes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webUrl(), fc.webAuthority()), (text) => {
        try {
          const { host, port } = parseAddress(text);
          expect(host).not.toBe('');
          expect(port).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toMatchObject({ code: 'KAD_BAD_ADDRESS' });
        }
      }),
      { numRuns: 500 },
    );
  });
});
