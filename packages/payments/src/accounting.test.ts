import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ContractTerms } from '@granary/protocol';
import {
  FINE_PARTS,
  accruePosition,
  extendPosition,
  formatFine,
  openPosition,
  parseUnits,
  payable,
  storageCharge,
  trafficCharge,
  wholeUnits,
  withinCredit,
} from './index.js';
import { decodeRow, encodeRow } from './rows.js';

const DAY = 24 * 3600 * 1000;
const termsOf = (size: number, price: bigint, begin: number, end: number): ContractTerms => ({
  version: 1,
  renter: '11'.repeat(32),
  renterKey: `02${'11'.repeat(32)}`,
  farmer: '22'.repeat(32),
  farmerKey: `02${'22'.repeat(32)}`,
  shardHash: '33'.repeat(32),
  shardSize: size,
  begin,
  end,
  currency: 'credit',
  storagePrice: price.toString(),
  egressPrice: '0',
  auditRoot: null,
  auditCount: 0,
  channel: null,
});

const size = fc.integer({ min: 0, max: 64 * 1024 * 1024 });
const price = fc.bigInt({ min: 0n, max: 10n ** 24n });
const time = fc.integer({ min: 0, max: 400 * DAY });

describe('charges', () => {
  it('come to exactly the price for a GB held a month, and for a GB moved', () => {
    expect(storageCharge(7n, 1e9, 30 * DAY)).toBe(7n * FINE_PARTS);
    expect(trafficCharge(7n, 1e9)).toBe(7n * FINE_PARTS);
    expect(wholeUnits(storageCharge(7n, 1e9, 30 * DAY) - 1n)).toBe(6n);
    expect(formatFine(storageCharge(3n, 1e9, 15 * DAY))).toBe('1.5');
    expect(formatFine(FINE_PARTS)).toBe('1');
    expect(formatFine(1n)).toBe('0');
  });

  it('refuse amounts that are no whole numbers', () => {
    expect(parseUnits('0')).toBe(0n);
    for (const bad of ['', '-1', '1.0', '1e3', '007', ' 1', '9'.repeat(40)]) {
      expect(() => parseUnits(bad)).toThrow(/not an amount/);
    }
  });
});

describe('positions', () => {
  it('conserve: charged in any steps, repeated and out of order, they come to the same', () => {
    fc.assert(
      fc.property(
        size,
        price,
        time,
        time,
        fc.array(time, { maxLength: 40 }),
        (bytes, p, a, b, times) => {
          const [begin, end] = a < b ? [a, b] : [b, a + 1];
          const start = openPosition('c', termsOf(bytes, p, begin, end), begin);
          let position = start;
          let sum = 0n;
          for (const at of times) {
            const step = accruePosition(position, at);
            expect(step.charge >= 0n).toBe(true);
            sum += step.charge;
            position = step.position;
          }
          const last = Math.max(begin, ...times);
          expect(sum).toBe(position.storage);
          expect(sum).toBe(storageCharge(p, bytes, Math.max(0, Math.min(last, end) - begin)));
          expect(accruePosition(start, last).charge).toBe(sum);
        },
      ),
    );
  });

  it('conserve over renewals at other prices, whenever they are learned of', () => {
    fc.assert(
      fc.property(
        size,
        fc.array(fc.tuple(price, fc.integer({ min: 1, max: 90 * DAY })), {
          minLength: 1,
          maxLength: 6,
        }),
        fc.array(fc.integer({ min: 0, max: 99 }), { maxLength: 20 }),
        (bytes, periods, cuts) => {
          const ends = periods.map((_, i) =>
            periods.slice(0, i + 1).reduce((s, [, ms]) => s + ms, 0),
          );
          let exact = 0n;
          for (const [p, ms] of periods) exact += storageCharge(p, bytes, ms);
          let position = openPosition('c', termsOf(bytes, periods[0]![0], 0, ends[0]!), 0);
          let sum = 0n;
          const pending = periods.slice(1).map(([p], i) => ({
            until: ends[i + 1]!,
            storagePrice: p,
            egressPrice: 0n,
          }));
          for (const cut of cuts.sort((x, y) => x - y)) {
            const at = Math.floor((ends.at(-1)! * cut) / 100);
            const step = accruePosition(position, at);
            sum += step.charge;
            position = step.position;
            const next = pending.shift();
            if (next !== undefined) {
              position = extendPosition(position, next);
              expect(extendPosition(position, next)).toBe(position);
            }
          }
          for (const next of pending) position = extendPosition(position, next);
          sum += accruePosition(position, ends.at(-1)! + 1).charge;
          expect(sum).toBe(exact);
        },
      ),
    );
  });

  it('round once, at the sum: less than one unit in the life of an account', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(price, size, time), { maxLength: 30 }), (items) => {
        const fine = items.reduce((sum, [p, bytes, ms]) => sum + storageCharge(p, bytes, ms), 0n);
        const whole = wholeUnits(fine);
        expect(whole * FINE_PARTS <= fine && fine < (whole + 1n) * FINE_PARTS).toBe(true);
      }),
    );
  });

  it('charge nothing once they have ended, nor before they begin', () => {
    const position = openPosition('c', termsOf(1e6, 5n, 1000, 5000), 2000);
    expect(accruePosition(position, 1500).charge).toBe(0n);
    expect(accruePosition({ ...position, ended: 'failed' }, 4000).charge).toBe(0n);
    expect(accruePosition(position, 9000).position.accruedUntil).toBe(5000);
  });
});

const units = fc.bigInt({ min: 0n, max: 10n ** 30n });

describe('credit', () => {
  it('is never passed, and paying what is owed opens it again', () => {
    fc.assert(
      fc.property(
        units,
        units,
        units,
        units,
        units,
        units,
        (owedFine, unproved, unaudited, promised, limit, next) => {
          const exposure = { owedFine, unproved, unaudited, promised };
          if (withinCredit(exposure, limit, next)) {
            expect(
              owedFine + unproved + unaudited + next - promised * FINE_PARTS <= limit * FINE_PARTS,
            ).toBe(true);
          } else {
            const all = owedFine + unproved + unaudited + next;
            const paid = { ...exposure, promised: all / FINE_PARTS + 1n };
            expect(withinCredit(paid, limit, next)).toBe(true);
          }
        },
      ),
    );
  });

  it('never has a renter promise more than it owes, but for what it trusts and pays ahead', () => {
    fc.assert(
      fc.property(units, units, units, units, units, (owed, claimed, promised, trust, advance) => {
        const { sum, conceded } = payable({ owed, claimed, promised, trust, advance });
        expect(sum >= promised).toBe(true);
        expect(conceded <= trust).toBe(true);
        if (sum > promised) {
          expect(sum <= owed + conceded + advance).toBe(true);
          expect(sum <= claimed + advance).toBe(true);
        }
        // Both agree: then it is paid to the unit.
        if (claimed === owed && promised <= owed && advance === 0n) expect(sum).toBe(owed);
      }),
    );
  });
});

it('rows come back as they were, however big the numbers', () => {
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.string().filter((key) => key !== '__proto__' && key !== '$n'),
        fc.oneof(fc.bigInt(), fc.integer(), fc.string(), fc.constant(null)),
      ),
      (row) => {
        expect(decodeRow(encodeRow(row))).toEqual({ ...row });
      },
    ),
  );
});
