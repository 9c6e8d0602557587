import { expect, it } from 'vitest';
import { ago, amount, brief, bytes, count, counted, duration, percent, until } from './format.js';

it('writes figures for people', () => {
  expect([0, 999, 1000, 12_345, 999_499, 999_500, 5e12].map(bytes)).toEqual([
    '0 B',
    '999 B',
    '1.00 kB',
    '12.3 kB',
    '999 kB',
    '1.00 MB',
    '5.00 TB',
  ]);
  expect(
    [0, 999, 1500, 59_600, 60_000, 61_000, 3_599_000, 3_600_000, 90 * 60_000, 25 * 3_600_000].map(
      duration,
    ),
  ).toEqual([
    '0 ms',
    '999 ms',
    '2 s',
    '1 min',
    '1 min',
    '1 min 1 s',
    '1 h',
    '1 h',
    '1 h 30 min',
    '1 d 1 h',
  ]);
  expect(
    ['2.00 MB/s', '1.50 MB/s', '10.0 GB', '200 B', '0 B/s', '0.05', '0.0/s'].map(brief),
  ).toEqual(['2 MB/s', '1.5 MB/s', '10 GB', '200 B', '0 B/s', '0.05', '0/s']);
  expect(count(1234567)).toBe('1,234,567');
  expect([counted(1, 'object'), counted(2, 'object')]).toEqual(['1 object', '2 objects']);
  expect([0, 0.5, 0.9999, 1].map(percent)).toEqual(['0 %', '50.0 %', '100 %', '100 %']);
  expect(['0', '1234567', '12.3456', '9.00'].map(amount)).toEqual(['0', '1,234,567', '12.34', '9']);
  expect([ago(1000, 1500), ago(0, 5000)]).toEqual(['just now', '5 s ago']);
  expect([until(0, 5), until(86_400_000, 0)]).toEqual(['over', 'in 1 d']);
});
