import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ObjectSummary } from '@granary/renter';
import { type Entry, type ListObjects, crumbsOf, entriesOf } from './listing.js';

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** As a renter lists: in order of UTF-8. */
function listOf(names: readonly string[]): { list: ListObjects; read: () => number } {
  const sorted = [...new Set(names)].sort(byBytes);
  let read = 0;
  const list: ListObjects = async function* ({ prefix, after }) {
    for (const name of sorted) {
      if (!name.startsWith(prefix) || (after !== '' && byBytes(name, after) <= 0)) continue;
      read += 1;
      yield { name, size: 1, created: 0, sha256: '' } satisfies ObjectSummary;
    }
  };
  return { list, read: () => read };
}

async function all(entries: AsyncIterable<Entry>): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of entries) found.push(entry.name + (entry.kind === 'folder' ? '/' : ''));
  return found;
}

describe('a listing with folders', () => {
  const names = ['a.txt', 'b/1', 'b/2', 'b/c/3', 'b.txt', 'z', 'ä/1', '/odd'];

  it('has each folder once, in its place', async () => {
    const { list } = listOf(names);
    expect(await all(entriesOf(list, ''))).toEqual(['/', 'a.txt', 'b.txt', 'b/', 'z', 'ä/']);
    expect(await all(entriesOf(list, 'b/'))).toEqual(['1', '2', 'c/']);
    expect(await all(entriesOf(list, '', 'b'))).toEqual(['b.txt', 'b/']);
    expect(await all(entriesOf(list, '', '', 'b.txt'))).toEqual(['b/', 'z', 'ä/']);
  });

  it('does not read what is in folders', async () => {
    const many = Array.from({ length: 1000 }, (_, i) => `folder/${i}`);
    const { list, read } = listOf([...many, 'a', 'z']);
    expect(await all(entriesOf(list, ''))).toEqual(['a', 'folder/', 'z']);
    expect(read()).toBeLessThan(10);
  });

  it('has what grouping all names has', async () => {
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', 'ä', '😀'), maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(fc.array(name), fc.constantFrom('', 'a/', 'a/b/'), async (some, folder) => {
        const inside = some.filter((one) => one.startsWith(folder) && one !== '');
        const expected = new Set(
          inside.map((one) => /^[^/]*\/?/.exec(one.slice(folder.length))![0]),
        );
        const { list } = listOf(some.filter((one) => one !== ''));
        const found = await all(entriesOf(list, folder));
        expect(found.sort()).toEqual([...expected].sort());
      }),
    );
  });

  it('knows the way back', () => {
    expect(crumbsOf('')).toEqual([]);
    expect(crumbsOf('a/b c/')).toEqual([
      { name: 'a', prefix: 'a/' },
      { name: 'b c', prefix: 'a/b c/' },
    ]);
  });
});
