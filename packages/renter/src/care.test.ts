import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { KademliaNode, MemoryValueStore, HttpsTransport, Identity } from '@granary/kad';
import { createTlsCredentials, silentLogger } from '@granary/kad';
import { judgeAudit } from '@granary/protocol';
import { all } from './all.js';
import { TestGranary, put, read } from './care.test-support.js';
import { parseAuditKit, runAuditKit } from './index.js';

const DAY = 24 * 3600 * 1000;
let granary: TestGranary;
afterEach(() => granary.stop());

/** Farmers that hold shards of an object, those with fewest indices first. */
const holdersOf = async (renter: Awaited<ReturnType<TestGranary['renter']>>, name: string) =>
  (await renter.stat({ bucket: 'test', name })).farmers.map(({ nodeId }) => granary.farmer(nodeId));

it('repairs what farmers took with them, once, and reads it with only new farmers', async () => {
  granary = await TestGranary.start(11);
  const renter = await granary.renter();
  const content = randomBytes(200_000);
  await put(renter, 'file', content);
  const old = await holdersOf(renter, 'file');
  expect(renter.careStatus).toMatchObject({ phase: 'idle', rounds: 0, last: null });
  const fine = await renter.care();
  expect(fine).toMatchObject({ endangered: 0, repaired: 0, lost: 0, indexFailure: null });
  expect(renter.careStatus).toMatchObject({ phase: 'idle', rounds: 1, last: { report: fine } });
  const health = async (isAway?: (nodeId: string) => boolean) => {
    const soon = granary.clock.now() + 100 * DAY;
    const question = { soon, ...(isAway !== undefined && { isAway }) };
    const objects = await all(renter.health(question));
    return objects.find(({ name }) => name === 'file')!;
  };
  const shards = (await renter.stat({ bucket: 'test', name: 'file' })).shards;
  expect(await health()).toMatchObject({
    bucket: 'test',
    index: false,
    size: 200_000,
    verdict: 'fine',
    shards: { away: 0, leaving: 0, gone: 0 },
    endangered: 0,
    contracts: shards,
    endingSoon: shards,
  });
  const [first] = await holdersOf(renter, 'file');
  const seen = await health((nodeId) => nodeId === first!.contact.nodeId);
  expect(seen).toMatchObject({ verdict: 'fine', shards: { away: 1 } });
  expect(seen.margin).toBe((await health()).margin - 0.5);
  // Three of five leave without a word.
  for (const farmer of old.slice(0, 3)) await granary.remove(farmer);
  const soon = await renter.care();
  expect(soon.repaired).toBe(0); // they may be back in a moment
  expect(await health()).toMatchObject({ verdict: 'fine', shards: { away: 3, gone: 0 } });
  granary.clock.shift += 13 * 3600 * 1000;
  expect(await health()).toMatchObject({ verdict: 'repair', shards: { gone: 3 }, endangered: 1 });
  const repaired = await renter.care();
  expect(repaired.repaired).toBe(fine.segments);
  expect(repaired.failures).toEqual([]);
  expect((await renter.stat({ bucket: 'test', name: 'file' })).fewestShards).toBe(5);
  expect((await renter.care()).repaired).toBe(0);
  for (const farmer of old.slice(3)) await granary.remove(farmer);
  expect((await read(renter, 'file')).equals(content)).toBe(true);
}, 60_000);

it('finds by audit what a farmer dropped or altered, keeps the proof, and makes it anew', async () => {
  granary = await TestGranary.start(8);
  const renter = await granary.renter();
  const content = randomBytes(100_000);
  await put(renter, 'file', content);
  const [dropping, altering] = await holdersOf(renter, 'file');
  const before = await renter.care({ auditAll: true });
  expect(before.audits).toMatchObject({ failed: 0, unanswered: 0 });
  expect(before.audits.held).toBeGreaterThanOrEqual(5);
  for (const path of await granary.shardFiles(dropping!)) await writeFile(path, '');
  for (const path of await granary.shardFiles(altering!)) {
    const bytes = await readFile(path);
    await writeFile(path, bytes.fill(7, 0, bytes.length / 2));
  }
  // Half of the altered shard's chunks are still right, so it may take more than one question.
  for (let i = 0; i < 40 && (await renter.evidence()).length < 2; i += 1) {
    await renter.care({ auditAll: true });
  }
  const proofs = (await renter.evidence()) as Parameters<typeof judgeAudit>[0][];
  expect(proofs.length).toBeGreaterThanOrEqual(2);
  for (const proof of proofs) expect(judgeAudit(proof)).toBe('failed');
  const standing = async (nodeId: string) =>
    (await renter.standings()).find(({ record }) => record.contact.nodeId === nodeId)!;
  for (const farmer of [dropping!, altering!]) {
    const { record, explanation } = await standing(farmer.contact.nodeId);
    expect(record.reputation.standing).toBe('suspected');
    expect(explanation).toMatch(/it failed an audit/);
  }
  // Three of five are left, which is the repair threshold: one more loss, and all is made anew.
  const [third] = (await holdersOf(renter, 'file')).filter(
    (farmer) => farmer !== dropping && farmer !== altering,
  );
  for (const path of await granary.shardFiles(third!)) await writeFile(path, '');
  const care = await renter.care({ auditAll: true });
  expect(care).toMatchObject({ repaired: 1, lost: 0 });
  expect((await read(renter, 'file')).equals(content)).toBe(true);
}, 60_000);

it('lets somebody else audit, who can neither read nor forge', async () => {
  granary = await TestGranary.start(6);
  const renter = await granary.renter();
  await put(renter, 'file', randomBytes(50_000));
  const kit = await renter.auditKit({ bucket: 'test', name: 'file' }, DAY);
  expect(kit.audits).toHaveLength(5);
  const [victim] = await holdersOf(renter, 'file');
  for (const path of await granary.shardFiles(victim!)) {
    const bytes = await readFile(path);
    bytes[10]! ^= 1;
    await writeFile(path, bytes);
  }
  const identity = Identity.generate();
  const credentials = await createTlsCredentials(identity);
  const node = new KademliaNode({
    identity,
    transport: new HttpsTransport({ credentials, logger: silentLogger }),
    storage: new MemoryValueStore(),
  });
  await node.start();
  try {
    await node.join([granary.farmers[0]!.address]);
    const verdicts = new Map<string, string>();
    const parsed = parseAuditKit(JSON.stringify(kit));
    for await (const result of runAuditKit(node, parsed, AbortSignal.timeout(30_000))) {
      verdicts.set(result.farmer, result.verdict);
      if (result.verdict !== 'failed') continue;
      const own = parsed.audits.find(({ request }) => request.body.contract === result.contract)!;
      expect(judgeAudit({ ...own, answer: result.answer })).toBe('failed');
    }
    expect(verdicts.get(victim!.contact.nodeId)).toBe('failed');
    expect([...verdicts.values()].filter((verdict) => verdict === 'held')).toHaveLength(4);
  } finally {
    await node.stop();
  }
  // A question that was handed out is no secret any more and is not used again.
  const again = await renter.auditKit({ bucket: 'test', name: 'file' }, DAY);
  const challenge = (of: typeof kit) =>
    of.audits.map(({ request }) => JSON.stringify(request.body.question));
  expect(challenge(again).filter((text) => challenge(kit).includes(text))).toEqual([]);
}, 60_000);

it('renews contracts before they end, and moves what nobody renews', async () => {
  granary = await TestGranary.start(8, { durationMs: 30 * DAY });
  const renter = await granary.renter();
  const content = randomBytes(80_000);
  await put(renter, 'file', content);
  const ends = async () => (await renter.stat({ bucket: 'test', name: 'file' })).expires!;
  const first = await ends();
  granary.clock.shift += 15 * DAY;
  expect((await renter.care()).renewals).toEqual({ renewed: 0, refused: 0 });
  granary.clock.shift += 8 * DAY;
  expect((await renter.care()).renewals).toEqual({ renewed: 5, refused: 0 });
  expect((await ends()) - first).toBeGreaterThan(20 * DAY);
  // Long after the first end the farmers still have it.
  granary.clock.shift += 21 * DAY;
  expect((await renter.care()).renewals.renewed).toBe(5);
  expect((await read(renter, 'file')).equals(content)).toBe(true);
}, 60_000);

it('takes over the shards of farmers that leave, and their farmers end up with none', async () => {
  granary = await TestGranary.start(8);
  const renter = await granary.renter();
  const content = randomBytes(200_000);
  await put(renter, 'file', content);
  const leaving = (await holdersOf(renter, 'file')).slice(0, 2);
  for (const farmer of leaving) await farmer.leave();
  const care = await renter.care();
  expect(care.endangered).toBe(care.segments);
  expect(care.garbage.pending).toEqual([]);
  for (const farmer of leaving) expect(farmer.stats()).toMatchObject({ shards: 0, leaving: true });
  const now = await renter.stat({ bucket: 'test', name: 'file' });
  expect(now.fewestShards).toBe(5);
  expect(now.farmers.map(({ nodeId }) => nodeId)).not.toContain(leaving[0]!.contact.nodeId);
  expect((await read(renter, 'file')).equals(content)).toBe(true);
}, 60_000);

it('brings everything back from the words alone, and goes on from there', async () => {
  granary = await TestGranary.start(7);
  const renter = await granary.renter();
  const files = new Map<string, Buffer>();
  for (const [name, size] of [
    ['small', 10],
    ['large', 1_200_000],
    ['replaced', 40_000],
    ['deleted', 1000],
  ] as const) {
    files.set(name, randomBytes(size));
    const { indexFailure } = await put(renter, name, files.get(name)!);
    expect(indexFailure).toBeNull();
  }
  files.set('replaced', randomBytes(50_000));
  await put(renter, 'replaced', files.get('replaced')!);
  await renter.delete({ bucket: 'test', name: 'deleted' });
  files.delete('deleted');
  await renter.close();

  const second = await granary.renter('elsewhere');
  const report = await second.recover();
  expect(report).toMatchObject({ objects: 3, unreachable: [] });
  for (const [name, content] of files) {
    expect((await read(second, name)).equals(content), name).toBe(true);
  }
  expect((await all(second.list('test'))).map(({ name }) => name)).toEqual([
    'large',
    'replaced',
    'small',
  ]);
  // What it knows is enough to look after, to delete, and to be recovered again.
  expect(await second.care({ auditAll: true })).toMatchObject({ lost: 0, failures: [] });
  const gc = await second.collectGarbage();
  expect(gc.review).toMatchObject({ orphans: 0, missing: 0, unreachable: [] });
  await put(second, 'later', Buffer.from('later'));
  for (const name of ['large', 'small']) await second.delete({ bucket: 'test', name });
  await expect(second.recover()).rejects.toMatchObject({ code: 'RENTER_NOT_EMPTY' });
  const third = await granary.renter('third');
  expect((await third.recover()).objects).toBe(2);
  expect((await read(third, 'later')).toString()).toBe('later');
  // The second store is behind the third now, and says so rather than overwrite what it does not know.
  const { indexFailure } = await put(second, 'conflict', Buffer.of(1));
  expect(indexFailure).toMatch(/another machine uses the same keys/);
}, 90_000);

it('keeps an index that has outgrown its root record, part by part', async () => {
  granary = await TestGranary.start(6, { audits: 0 });
  const renter = await granary.renter();
  const scheme = { k: 1, repair: 1, success: 4, n: 5 };
  const names: string[] = [];
  // Each put adds a line of random hashes: some hundred of them are more than a root record takes.
  for (let i = 0; i < 60; i += 1) {
    names.push(`object-${String(i).padStart(3, '0')}`);
    const stream = (async function* () {
      yield await Promise.resolve(Buffer.from(`content ${i}`));
    })();
    await renter.put({ bucket: 'test', name: names[i]! }, { kind: 'stream', stream }, { scheme });
  }
  await renter.delete({ bucket: 'test', name: names[7]! });
  expect(await all(renter.buckets())).toEqual(['test']);
  const gc = await renter.collectGarbage();
  expect(gc.review).toMatchObject({ orphans: 0, missing: 0 });
  const second = await granary.renter('elsewhere');
  expect((await second.recover()).objects).toBe(59);
  expect((await all(second.list('test'))).map(({ name }) => name)).toEqual(
    names.filter((name) => name !== names[7]),
  );
  expect((await read(second, names[59]!)).toString()).toBe('content 59');
}, 120_000);

it('exports and imports, whole or not at all', async () => {
  granary = await TestGranary.start(6);
  const renter = await granary.renter();
  const content = randomBytes(200_000);
  await put(renter, 'file', content);
  const file = join(granary.directory, 'export');
  expect(await renter.export(file)).toBeGreaterThan(5);
  expect((await readFile(file)).includes('test')).toBe(false);
  const second = await granary.renter('elsewhere');
  const text = await readFile(file, 'utf8');
  const cut = join(granary.directory, 'cut');
  for (const bad of [
    text.slice(0, text.length - 100),
    text.slice(0, text.lastIndexOf('end ')),
    text.replace(/(.{400})./s, '$1!'),
    'hello\n',
    '',
  ]) {
    await writeFile(cut, bad);
    await expect(second.import(cut)).rejects.toMatchObject({ code: 'RENTER_BAD_EXPORT' });
    expect(await all(second.buckets())).toEqual([]);
  }
  await second.import(file);
  expect((await read(second, 'file')).equals(content)).toBe(true);
  await expect(second.import(file)).rejects.toMatchObject({ code: 'RENTER_NOT_EMPTY' });
}, 60_000);

it('keeps a version whole for its reader while it is replaced', async () => {
  granary = await TestGranary.start(6, { parallelSegments: 1 });
  const renter = await granary.renter();
  const content = randomBytes(1_000_000);
  const next = randomBytes(300_000);
  await put(renter, 'file', content);
  const reader = renter.get({ bucket: 'test', name: 'file' });
  const parts = [(await reader.next()).value as Uint8Array];
  const other = await granary.renter();
  const { garbage } = await put(other, 'file', next);
  expect(garbage).toMatchObject({ confirmed: 0, beingRead: 1 });
  for await (const part of reader) parts.push(part);
  expect(Buffer.concat(parts).equals(content)).toBe(true);
  expect((await read(renter, 'file')).equals(next)).toBe(true);
  // The reader's end let the old version go.
  const { review, pending } = await renter.collectGarbage();
  expect(review).toMatchObject({ orphans: 0, missing: 0 });
  expect(pending).toEqual([]);
  const { shards } = await renter.stat({ bucket: 'test', name: 'file' });
  expect(granary.held()).toBe(shards);
}, 60_000);

it('lets concurrent writers of one name end with one winner and no shard of the others', async () => {
  granary = await TestGranary.start(6);
  const renter = await granary.renter();
  const other = await granary.renter();
  const contents = Array.from({ length: 6 }, (_, i) => randomBytes(150_000 + i));
  await Promise.all(contents.map((content, i) => put(i % 2 ? renter : other, 'race', content)));
  const winner = await read(renter, 'race');
  expect(contents.filter((content) => content.equals(winner))).toHaveLength(1);
  const { review } = await renter.collectGarbage();
  expect(review).toMatchObject({ orphans: 0, missing: 0, unreachable: [] });
  expect(granary.held()).toBe((await renter.stat({ bucket: 'test', name: 'race' })).shards);
}, 60_000);
