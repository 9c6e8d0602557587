import { describe, expect, it } from 'vitest';
import { Announcer } from './announcer.js';

describe('an announcer', () => {
  it('puts together what its sources know, the direct ones first, and tells only changes', () => {
    const told: (readonly string[])[] = [];
    const announcer = new Announcer();
    announcer.set('tunnel', ['t1', 't2']);
    announcer.start((addresses) => told.push(addresses));
    announcer.set('confirmed', ['c']);
    announcer.set('confirmed', ['c']);
    announcer.set('configured', ['u', 'c']);
    announcer.set('tunnel', []);
    expect(told).toEqual([
      ['t1', 't2'],
      ['c', 't1', 't2'],
      ['u', 'c', 't1', 't2'],
      ['u', 'c'],
    ]);
    expect(announcer.addresses).toEqual(['u', 'c']);
  });

  it('announces no more addresses than a contact may have', () => {
    const announcer = new Announcer();
    announcer.set(
      'confirmed',
      Array.from({ length: 12 }, (_, i) => `a${i}`),
    );
    expect(announcer.addresses).toHaveLength(8);
  });
});
