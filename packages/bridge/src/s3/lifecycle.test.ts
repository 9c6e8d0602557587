import { describe, expect, it } from 'vitest';
import {
  type LifecycleRule,
  covers,
  daysAfter,
  expiryOf,
  readLifecycle,
  writeLifecycle,
} from './lifecycle.js';

const DAY = 86_400_000;
const noon = Date.UTC(2026, 0, 10, 12);
const rule = (rest: Partial<LifecycleRule>): LifecycleRule => ({
  id: 'r',
  enabled: true,
  filter: { prefix: '', tags: {} },
  ...rest,
});
const subject = { key: 'logs/a', size: 10, tags: { a: '1' }, modified: noon };

describe('expiry', () => {
  it('is at the midnight after the days, and the earliest counts', () => {
    expect(daysAfter(noon, 1)).toBe(Date.UTC(2026, 0, 12));
    expect(daysAfter(Date.UTC(2026, 0, 10), 1)).toBe(Date.UTC(2026, 0, 11));
    const rules = [rule({ id: 'late', expireDays: 5 }), rule({ id: 'soon', expireDays: 2 })];
    expect(expiryOf(rules, subject)).toEqual({ at: Date.UTC(2026, 0, 13), rule: 'soon' });
    const dated = [rule({ expireAt: noon - DAY / 2 })];
    expect(expiryOf(dated, subject)!.at).toBe(noon - DAY / 2);
  });

  it('is nobody’s where rules are off, about others, or about other things', () => {
    expect(expiryOf([rule({ expireDays: 1, enabled: false })], subject)).toBeUndefined();
    expect(expiryOf([rule({ abortDays: 1 })], subject)).toBeUndefined();
    const filter = (rest: object) => ({ prefix: '', tags: {}, ...rest });
    expect(covers(filter({ prefix: 'logs/' }), subject)).toBe(true);
    expect(covers(filter({ prefix: 'log/' }), subject)).toBe(false);
    expect(covers(filter({ tags: { a: '1' } }), subject)).toBe(true);
    expect(covers(filter({ tags: { a: '1', b: '2' } }), subject)).toBe(false);
    expect(covers(filter({ largerThan: 10 }), subject)).toBe(false);
    expect(covers(filter({ largerThan: 9, smallerThan: 11 }), subject)).toBe(true);
  });
});

it('a document is read, written and read the same', () => {
  const text = `<LifecycleConfiguration>
    <Rule><ID>a</ID><Status>Enabled</Status><Prefix>x</Prefix><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration></Rule>
    <Rule><Status>Disabled</Status><Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>
    <Rule><ID>c</ID><Status>Enabled</Status><Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>
      <NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration></Rule>
  </LifecycleConfiguration>`;
  const rules = readLifecycle(Buffer.from(text));
  expect(rules).toEqual([
    rule({ id: 'a', filter: { prefix: 'x', tags: {} }, expireAt: Date.UTC(2030, 0, 1) }),
    rule({ id: 'rule-2', enabled: false, expireMarkers: true }),
    rule({ id: 'c', filter: { prefix: '', tags: { k: 'v' } }, noncurrentDays: 1 }),
  ]);
  expect(readLifecycle(Buffer.from(writeLifecycle(rules)))).toEqual(rules);
});

it.each([
  ['no rule', ''],
  ['no status', '<Rule><Filter/><Expiration><Days>1</Days></Expiration></Rule>'],
  ['no action', '<Rule><Status>Enabled</Status><Filter/></Rule>'],
  ['no filter', '<Rule><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>'],
  [
    'zero days',
    '<Rule><Status>Enabled</Status><Filter/><Expiration><Days>0</Days></Expiration></Rule>',
  ],
  [
    'not midnight',
    '<Rule><Status>Enabled</Status><Filter/><Expiration><Date>2030-01-01T01:00:00Z</Date></Expiration></Rule>',
  ],
  [
    'two of one',
    '<Rule><Status>Enabled</Status><Filter/><Expiration><Days>1</Days><Date>2030-01-01T00:00:00Z</Date></Expiration></Rule>',
  ],
  [
    'conditions side by side',
    '<Rule><Status>Enabled</Status><Filter><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></Filter><Expiration><Days>1</Days></Expiration></Rule>',
  ],
])('%s is refused', (_, rules) => {
  const text = `<LifecycleConfiguration>${rules}</LifecycleConfiguration>`;
  expect(() => readLifecycle(Buffer.from(text))).toThrow();
});
