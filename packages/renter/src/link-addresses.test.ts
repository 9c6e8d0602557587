import { expect, it } from 'vitest';
import { addressesForLink } from './link-addresses.js';
import type { FarmerRecord } from './records.js';

const met = (seen: number, addresses: string[], failures = 0) =>
  ({ seen, failures, contact: { addresses } }) as unknown as FarmerRecord;

it('puts a few addresses of each kind into a link: one of our own, then those seen last', () => {
  const farmers = [
    met(1, ['https://10.0.0.1:1', 'ws://127.0.0.1:1']),
    met(3, ['https://10.0.0.3:3', 'wss://farm.example.org:3']),
    met(2, ['https://10.0.0.2:2', 'ws://127.0.0.1:2']),
    met(4, ['https://10.0.0.4:4', 'ws://127.0.0.1:4'], 1),
  ];
  // The second of our own may be as dead as the first; of farmers more is known.
  expect(addressesForLink(['https://10.0.0.9:9', 'https://10.0.0.8:8'], farmers)).toEqual([
    'https://10.0.0.9:9',
    'https://10.0.0.3:3',
    'wss://farm.example.org:3',
    'ws://127.0.0.1:2',
  ]);
});

it('fills up with more of our own, then with those that failed, and repeats none', () => {
  // A page knows none that a command dials, and the other way about.
  expect(addressesForLink(['wss://a.example:1'], [])).toEqual(['wss://a.example:1']);
  const own = ['https://10.0.0.9:9', 'https://10.0.0.8:8'];
  expect(addressesForLink(own, [met(1, ['https://10.0.0.9:9'])])).toEqual(own);
  const failing = met(1, ['https://10.0.0.7:7'], 2);
  expect(addressesForLink(own, [failing])).toEqual(own);
  expect(addressesForLink(own.slice(0, 1), [failing])).toEqual([own[0], 'https://10.0.0.7:7']);
});
