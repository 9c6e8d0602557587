import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeRow, encodeRow } from './rows.js';

it('keeps rows of all that books have, big integers of any size among them', () => {
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.string(),
      fc.boolean(),
      fc.constant(null),
      fc.integer(),
      fc.bigInt(),
      fc.array(tie('value')),
      fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), tie('value'), { noNullPrototype: true }),
    ),
  }));
  fc.assert(
    fc.property(value, (row) => {
      const before = structuredClone(row);
      expect(decodeRow(encodeRow(row))).toEqual(row);
      expect(row).toEqual(before);
    }),
  );
  expect(encodeRow({ a: 5n, b: [-1n] })).toBe('{"a":{"$n":"5"},"b":[{"$n":"-1"}]}');
});
