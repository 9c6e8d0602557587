import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Identity } from '../identity.js';
import { seededRandom } from '../seeded-random.test-support.js';
import {
  MAX_PAYLOAD_BYTES,
  type PublicationWire,
  checkPublication,
  makePublication,
  parsePublication,
} from './publication.js';
import { hashTopic } from './topic.js';

const random = seededRandom('publications');
const identity = Identity.generate(random);
const make = (payload: Uint8Array, time = 1000) =>
  makePublication(identity, hashTopic('news'), payload, { time, random });
/** As if it had come over a network. */
const travel = (wire: PublicationWire): PublicationWire =>
  JSON.parse(JSON.stringify(wire)) as PublicationWire;
const receive = (wire: unknown) => {
  const publication = parsePublication(wire);
  checkPublication(publication);
  return publication;
};

describe('a publication', () => {
  it('arrives as it was made', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), (payload, time) => {
        const made = make(payload, time);
        const got = receive(travel(made.wire));
        expect(got).toMatchObject({ id: made.id, time, publisher: identity.nodeId });
        expect([...got.payload]).toEqual([...payload]);
      }),
      { numRuns: 30 },
    );
  });

  it('is refused when anything of it was changed', () => {
    const { wire, id } = make(new Uint8Array([1, 2, 3]));
    const other = Identity.generate(random);
    const changes: Partial<PublicationWire>[] = [
      { topic: hashTopic('other') },
      { time: wire.time + 1 },
      { nonce: '0'.repeat(32) },
      { payload: 'AQIE' },
      { publicKey: Buffer.from(other.publicKey).toString('hex') },
      { signature: '0'.repeat(128) },
    ];
    for (const change of changes) {
      expect(() => receive({ ...travel(wire), ...change })).toThrow(
        expect.objectContaining({ code: 'KAD_BAD_SIGNATURE' }),
      );
    }
    // Another signature does not make another publication.
    expect(parsePublication({ ...travel(wire), signature: '0'.repeat(128) }).id).toBe(id);
  });

  it('is refused when its form is wrong or it is too large', () => {
    const wire = travel(make(new Uint8Array(3)).wire);
    const changes: Record<string, unknown>[] = [
      { topic: 'news' },
      { time: -1 },
      { time: 1.5 },
      { nonce: '' },
      { payload: 'A' },
      { payload: 7 },
      { payload: 'A'.repeat(50_000) },
      { publicKey: `05${'0'.repeat(64)}` },
      { signature: 'x' },
    ];
    for (const change of changes) {
      expect(() => parsePublication({ ...wire, ...change })).toThrow(
        expect.objectContaining({ code: 'KAD_MALFORMED' }),
      );
    }
    for (const bad of [null, undefined, 'x', 3])
      expect(() => parsePublication(bad)).toThrow(/object/);
    expect(make(new Uint8Array(MAX_PAYLOAD_BYTES)).payload).toHaveLength(MAX_PAYLOAD_BYTES);
    expect(() => make(new Uint8Array(MAX_PAYLOAD_BYTES + 1))).toThrow(
      expect.objectContaining({ code: 'KAD_TOO_LARGE' }),
    );
  });
});

it('takes any text of 1 to 256 bytes for a topic', () => {
  expect(hashTopic('é')).toBe('4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c');
  expect(hashTopic('😀'.repeat(64))).toMatch(/^[0-9a-f]{64}$/);
  for (const bad of ['', 'x'.repeat(257), '😀'.repeat(65), '\ud800']) {
    expect(() => hashTopic(bad)).toThrow(expect.objectContaining({ code: 'KAD_BAD_PARAMETERS' }));
  }
});
