import { expect, it } from 'vitest';
import { addressesForLink } from './link-addresses.js';
import type { FarmerRecord } from './records.js';

const met = (seen: number, ...addresses: string[]) =>
  ({ seen, contact: { addresses } }) as unknown as FarmerRecord;

it('puts a few addresses of each kind into a link: our own first, then those seen last', () => {
  const farmers = [
    met(1, 'https://10.0.0.1:1', 'ws://127.0.0.1:1'),
    met(3, 'https://10.0.0.3:3', 'wss://farm.example.org:3'),
    met(2, 'https://10.0.0.2:2', 'ws://127.0.0.1:2'),
  ];
  expect(addressesForLink(['https://10.0.0.9:9'], farmers)).toEqual([
    'https://10.0.0.9:9',
    'https://10.0.0.3:3',
    'wss://farm.example.org:3',
    'ws://127.0.0.1:2',
  ]);
  // A page knows none that a command dials, and the other way about.
  expect(addressesForLink(['wss://a.example:1'], [])).toEqual(['wss://a.example:1']);
  expect(addressesForLink(['https://10.0.0.9:9'], [met(1, 'https://10.0.0.9:9')])).toEqual([
    'https://10.0.0.9:9',
  ]);
});
