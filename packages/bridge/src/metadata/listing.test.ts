import fc from 'fast-check';
import { expect, it } from 'vitest';
import { onEveryDatabase, small, userWithBucket } from './databases.test-support.js';
import type { MetadataStore } from './metadata-store.js';

const inOrder = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** What S3 says of a listing, the slow way. */
function modelOf(keys: readonly string[], prefix: string, delimiter: string): string[] {
  const entries = new Set<string>();
  for (const key of [...keys].sort(inOrder)) {
    if (!key.startsWith(prefix)) continue;
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    entries.add(at < 0 ? `= ${key}` : `/ ${key.slice(0, at + delimiter.length)}`);
  }
  return [...entries];
}

async function pagesOf(
  store: MetadataStore,
  request: { prefix: string; delimiter: string; limit: number },
): Promise<string[]> {
  const entries: string[] = [];
  let after: string | undefined;
  for (let pages = 0; pages < 1000; pages += 1) {
    const page = await store.listObjects({
      bucket: 'bucket',
      ...request,
      ...(after === undefined ? {} : { after }),
    });
    const some = [
      ...page.objects.map(({ key }) => ({ key, line: `= ${key}` })),
      ...page.commonPrefixes.map((key) => ({ key, line: `/ ${key}` })),
    ].sort((a, b) => inOrder(a.key, b.key));
    expect(some.length).toBeLessThanOrEqual(request.limit);
    entries.push(...some.map(({ line }) => line));
    if (page.next === null) return entries;
    expect(page.next).toBe(some.at(-1)?.key);
    after = page.next;
  }
  throw new Error('a listing that does not end');
}

// Few letters, so that prefixes and delimiters meet; the last two are where UTF-16 sorts otherwise.
const letters = fc.constantFrom('a', 'b', '/', '//', '%', '\0', 'é', '\uffff', '\u{10000}');
const key = fc.array(letters, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(''));

onEveryDatabase('listings', (place) => {
  it('lists what S3 would, page by page, whatever keys, prefix and delimiter', async () => {
    const store = await (await place()).open();
    const owner = await userWithBucket(store);
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(key, { maxLength: 12 }),
        fc.array(
          fc.record({
            prefix: fc.oneof(fc.constant(''), key),
            delimiter: fc.oneof(fc.constant(''), letters),
            limit: fc.integer({ min: 1, max: 5 }),
          }),
          { minLength: 4, maxLength: 4 },
        ),
        async (keys, requests) => {
          for (const name of keys) await store.putVersion(small('bucket', name, 'x', owner));
          for (const request of requests) {
            const { prefix, delimiter } = request;
            expect(await pagesOf(store, request)).toEqual(modelOf(keys, prefix, delimiter));
          }
          for (const name of keys) await store.deleteObject({ bucket: 'bucket', key: name });
        },
      ),
      { numRuns: 40 },
    );
  });

  it('lists versions page by page, newest first, past markers of both kinds', async () => {
    const store = await (await place()).open();
    const owner = await userWithBucket(store);
    await store.changeBucket('bucket', { versioning: 'enabled' });
    const keys = ['a', 'b/1', 'b/2', 'c', 'd/1', 'e'];
    const expected: string[] = [];
    for (const name of keys) {
      const ids: string[] = [];
      for (let i = 0; i < 3; i += 1) {
        ids.push((await store.putVersion(small('bucket', name, `${i}`, owner))).versionId);
      }
      ids.push((await store.deleteObject({ bucket: 'bucket', key: name })).versionId!);
      expected.push(...ids.reverse().map((id) => `${name} ${id}`));
    }
    for (const limit of [1, 2, 3, 5, 100]) {
      for (const delimiter of ['', '/']) {
        const seen: string[] = [];
        let marker: { keyMarker?: string; versionIdMarker?: string } = {};
        for (let more = true; more;) {
          const page = await store.listVersions({ bucket: 'bucket', delimiter, limit, ...marker });
          const some = [
            ...page.versions.map((v) => [v.key, `${v.key} ${v.versionId}`] as const),
            ...page.commonPrefixes.map((p) => [p, p] as const),
          ];
          // A stable sort keeps the versions of a key as they came.
          some.sort(([a], [b]) => inOrder(a, b));
          expect(some.length).toBeLessThanOrEqual(limit);
          seen.push(...some.map(([, line]) => line));
          more = page.next !== null;
          const { keyMarker, versionIdMarker } = page.next ?? {};
          marker = {
            ...(keyMarker === undefined ? {} : { keyMarker }),
            ...(versionIdMarker == null ? {} : { versionIdMarker }),
          };
        }
        const rolled = expected
          .map((line) => (delimiter === '' ? line : line.replace(/^([bd]\/).*/, '$1')))
          .filter((line, i, all) => all.indexOf(line) === i);
        expect(seen).toEqual(rolled);
      }
    }
  });

  it('begins behind a marker that is no key, and inside of a common prefix', async () => {
    const store = await (await place()).open();
    const owner = await userWithBucket(store);
    for (const name of ['a/1', 'a/2', 'b', 'c/1']) {
      await store.putVersion(small('bucket', name, 'x', owner));
    }
    const list = async (more: object) => {
      const page = await store.listObjects({ bucket: 'bucket', limit: 10, ...more });
      return [...page.commonPrefixes, ...page.objects.map((object) => object.key)];
    };
    expect(await list({ after: 'a/15' })).toEqual(['a/2', 'b', 'c/1']);
    expect(await list({ after: 'a/1', delimiter: '/' })).toEqual(['c/', 'b']);
    expect(await list({ prefix: 'c', after: 'a' })).toEqual(['c/1']);
    expect(await list({ prefix: 'a', after: 'c' })).toEqual([]);
    expect(await list({ limit: 0 })).toEqual([]);
  });
});
