import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Reputation,
  afterAudit,
  afterContact,
  afterTransfer,
  explainReputation,
  isOffline,
  newReputation,
  pardon,
  placementWeight,
  scoreOf,
} from './reputation.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const audits = (start: Reputation, results: readonly boolean[]) =>
  results.reduce((known, passed, i) => afterAudit(known, passed, i, 'why'), start);
const good = () => audits(newReputation(0), Array<boolean>(20).fill(true));

describe('reputation', () => {
  it('starts new, and is good after ten passed audits', () => {
    expect(audits(newReputation(0), Array<boolean>(9).fill(true)).standing).toBe('new');
    expect(good().standing).toBe('good');
    expect(placementWeight(good(), 10, 0)).toBeGreaterThan(
      placementWeight(newReputation(0), 10, 0),
    );
  });

  it('is suspected after one failure, gets nothing, and finds its way back', () => {
    const suspected = afterAudit(good(), false, 5, 'a wrong chunk');
    expect(suspected).toMatchObject({ standing: 'suspected', since: 5 });
    expect(placementWeight(suspected, 10, 6)).toBe(0);
    expect(explainReputation(suspected, 6)).toMatch(/it failed an audit: a wrong chunk/);
    const back = audits(suspected, Array<boolean>(30).fill(true));
    expect(back.standing).toBe('good');
    // Just above the line where suspicion begins is not enough.
    const soon = audits(suspected, Array<boolean>(6).fill(true));
    expect(scoreOf(soon.audits)).toBeGreaterThan(0.96);
    expect(soon.standing).toBe('suspected');
  });

  it('is disqualified when failures go on, for good, unless it is pardoned', () => {
    let known = good();
    let failures = 0;
    for (; known.standing !== 'disqualified'; failures += 1)
      known = afterAudit(known, false, 1, 'x');
    expect(failures).toBe(5);
    const later = audits(known, Array<boolean>(500).fill(true));
    expect(later.standing).toBe('disqualified');
    const pardoned = pardon(later, 9);
    expect(pardoned.standing).toBe('suspected');
    expect(afterAudit(afterAudit(pardoned, false, 1, 'x'), false, 1, 'x').standing).toBe(
      'disqualified',
    );
    expect(audits(pardoned, Array<boolean>(60).fill(true)).standing).toBe('good');
  });

  it('keeps its score between 0 and 1, and falls and rises with what happens', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 200 }), (results) => {
        let known = newReputation(0);
        for (const passed of results) {
          const next = afterAudit(known, passed, 1, 'x');
          const [before, after] = [scoreOf(known.audits), scoreOf(next.audits)];
          expect(after).toBeGreaterThanOrEqual(0);
          expect(after).toBeLessThanOrEqual(1);
          if (passed) expect(after).toBeGreaterThanOrEqual(before);
          else expect(after).toBeLessThan(before);
          known = next;
        }
        expect(known.passed + known.failed).toBe(results.length);
      }),
    );
  });

  it('measures uptime by time, not by how often it was looked', () => {
    const up = (steps: number) => {
      let known = afterContact(newReputation(0), true, 1);
      for (let i = 1; i <= steps; i += 1)
        known = afterContact(known, false, 1 + (i * 7 * DAY) / steps);
      return known.uptime;
    };
    expect(up(1)).toBeCloseTo(up(100), 6);
    expect(up(1)).toBeCloseTo(Math.exp(-0.5), 6);
  });

  it('is offline after twelve hours of silence, and gone after thirty days', () => {
    let known = afterContact(good(), true, 100);
    known = afterContact(known, false, 200);
    expect(isOffline(known, 200 + 11 * HOUR)).toBe(false);
    expect(isOffline(known, 200 + 12 * HOUR)).toBe(true);
    expect(placementWeight(known, 10, 200 + 12 * HOUR)).toBe(0);
    const again = afterContact(known, true, 200 + 13 * HOUR);
    expect(isOffline(again, 200 + 100 * HOUR)).toBe(false);
    const gone = afterContact(known, false, 201 + 30 * DAY);
    expect(gone.standing).toBe('disqualified');
  });

  it('prefers the near and the reliable', () => {
    expect(placementWeight(good(), 10, 0)).toBeGreaterThan(placementWeight(good(), 500, 0));
    const failing = afterTransfer(good(), false);
    expect(placementWeight(failing, 10, 0)).toBeLessThan(placementWeight(good(), 10, 0));
    expect(placementWeight(failing, 10, 0)).toBeGreaterThan(0);
  });
});
