import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_LISTED_OBJECTS, objectsPageSchema, surveySchema } from '@granary/web';
import type { ObjectHealth } from '@granary/renter';
import { parseDashboardAddress } from './dashboard-address.js';
import { DAY, History, RECENT } from './history.js';
import { pageOf, surveyObjects } from './object-survey.js';
import { RequestTally } from './request-tally.js';

describe('the address', () => {
  it('is a port of this machine, a host and a port, or nowhere', () => {
    expect(parseDashboardAddress(undefined)).toEqual({ host: '127.0.0.1', port: 0 });
    expect(parseDashboardAddress('off')).toBeUndefined();
    expect(parseDashboardAddress('9480')).toEqual({ host: '127.0.0.1', port: 9480 });
    expect(parseDashboardAddress('0.0.0.0:80')).toEqual({ host: '0.0.0.0', port: 80 });
    expect(parseDashboardAddress('[::1]:80')).toEqual({ host: '::1', port: 80 });
    for (const text of ['', 'x', '70000', 'host:', ':80', 'a b:80', '::1:80', 'http://x:80']) {
      expect(() => parseDashboardAddress(text), text).toThrow(/--?dashboard|dashboard/);
    }
  });
});

describe('the history', () => {
  it('keeps a quarter of an hour closely and a day coarsely, and no more, whatever the clock does', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60_000 }), { maxLength: 2000 }), (steps) => {
        const history = new History();
        let now = 1e12;
        for (const step of steps) {
          now += step;
          const { recent, day } = history.add(now, [7]);
          expect(recent).toEqual([now, 7]);
          const last = history.series.day.rows.at(-1)![0]!;
          expect(now - last).toBeLessThan(DAY.stepMs);
          if (day !== null) expect(day[0]).toBe(now);
        }
        expect(history.series.recent.rows.length).toBe(Math.min(steps.length, RECENT.rows));
        expect(history.series.day.rows.length).toBeLessThanOrEqual(DAY.rows);
      }),
      { numRuns: 20 },
    );
  });
});

const object = (i: number, change: Partial<ObjectHealth> = {}): ObjectHealth => ({
  objectId: i.toString(16).padStart(32, '0'),
  bucket: 'mine',
  name: `file ${i}`,
  index: false,
  size: 1000,
  created: 1,
  scheme: { k: 4, repair: 6, success: 10, n: 12 },
  segments: 1,
  verdict: 'fine',
  margin: 2,
  shards: { healthy: 12, away: 0, leaving: 0, gone: 0 },
  endangered: 0,
  contracts: 12,
  endingSoon: 0,
  expires: 5,
  storedBytes: 3000,
  ...change,
});

async function* each(objects: Iterable<ObjectHealth>): AsyncGenerator<ObjectHealth> {
  await Promise.resolve();
  yield* objects;
}

describe('the look at all objects', () => {
  it('counts all and lists the worst first, page by page', async () => {
    const objects = [
      ...Array.from({ length: 44 }, (_, i) => object(i)),
      object(100, { verdict: 'repair', margin: 0.25, endangered: 1 }),
      object(101, { verdict: 'lost', margin: -0.5, endangered: 1 }),
      object(102, { verdict: 'fine', margin: -0.25 }),
      object(103, { bucket: 'granary-bridge', name: 'c0ffee', margin: 1 }),
      object(105, { bucket: 'granary-bridge-journal', name: 'part', margin: 1.75 }),
      object(104, { bucket: '.index', name: 'part', index: true, margin: 1.5 }),
    ];
    const result = await surveyObjects(each(objects), true, () => 9);
    expect(surveySchema.parse(result.survey)).toMatchObject({
      objects: 50,
      bytes: 50_000,
      fine: 48,
      repair: 1,
      lost: 1,
      unreadable: 2,
      leastSpare: -2,
      contracts: 600,
    });
    expect(result.survey.bySpare).toEqual([0, 1, 0, 0, 1, 0, 1, 1, 44]);
    const first = objectsPageSchema.parse(pageOf(result, 0));
    expect(first).toMatchObject({ total: 50, listed: 50, page: 0, pages: 3 });
    expect(first.objects.slice(0, 6).map(({ spare, sort }) => [spare, sort])).toEqual([
      [-2, 'object'],
      [-1, 'object'],
      [1, 'object'],
      [4, 'content'],
      [6, 'index'],
      [7, 'journal'],
    ]);
    expect(first.objects[3]).toMatchObject({ id: 'c0ffee', name: null });
    expect(first.objects[0]!.name).toBe('mine/file 101');
    const seen = [0, 1, 2].flatMap((page) => pageOf(result, page).objects.map(({ id }) => id));
    expect(new Set(seen).size).toBe(50);
    expect(pageOf(result, 99).page).toBe(2);
  });

  it('does not tell names unless it is told to', async () => {
    const { worst } = await surveyObjects(each([object(1)]), false, () => 9);
    expect(JSON.stringify(worst)).not.toContain('file 1');
  });

  it('keeps no more than the worst of very many', async () => {
    function* many(): Generator<ObjectHealth> {
      for (let i = 0; i < 3 * MAX_LISTED_OBJECTS; i += 1) {
        yield object(i, { margin: (i * 7919) % (3 * MAX_LISTED_OBJECTS) });
      }
    }
    const { survey, worst } = await surveyObjects(each(many()), false, () => 9);
    expect(survey.objects).toBe(3 * MAX_LISTED_OBJECTS);
    expect(worst).toHaveLength(MAX_LISTED_OBJECTS);
    expect(worst.map(({ spare }) => spare / 4)).toEqual(
      Array.from({ length: MAX_LISTED_OBJECTS }, (_, i) => i),
    );
  });

  it('has an empty page before there was any', () => {
    expect(objectsPageSchema.parse(pageOf(undefined, 5))).toMatchObject({ total: 0, page: 0 });
  });
});

describe('the tally of requests', () => {
  it('counts by operation and outcome, and is bounded', () => {
    const tally = new RequestTally();
    const note = (operation: string, status: number, seconds = 0.01) =>
      tally.note({ operation, status, seconds, received: 10, sent: 20 });
    note('GetObject', 200, 0.001);
    note('GetObject', 404, 0.003);
    note('GetObject', 200, 0.002);
    note('PutObject', 503);
    expect(tally.figures).toEqual({
      total: 4,
      refused: 1,
      failed: 1,
      received: 40,
      sent: 80,
      operations: [
        { name: 'GetObject', count: 3, errors: 1, medianMs: 2 },
        { name: 'PutObject', count: 1, errors: 1, medianMs: 10 },
      ],
    });
    for (let i = 0; i < 1000; i += 1) note(`made up ${i}`, 200);
    expect(tally.figures.operations.length).toBeLessThanOrEqual(100);
    expect(tally.figures.total).toBe(1004);
  });
});
