import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest';
import { TestNetwork, granary, granaryJson, kill, realFile, until } from './support/granary.js';

interface Stat {
  readonly shards: number;
  readonly fewestShards: number;
  readonly farmers: readonly { readonly nodeId: string; readonly shards: number }[];
}

let network: TestNetwork;
let content: Buffer;
/** A put has all seven, so that it is known how many can be lost. */
const SCHEME = ['--scheme', '3/5/7/7'];
const home = () => network.home;
const stat = (name: string) => granaryJson<Stat>(['stat', name], home());
/** Of one test, and of one try. */
let place: string;
const file = (name: string) => join(place, name);
const source = () => join(network.directory, 'source.bin');

beforeAll(async () => {
  network = await TestNetwork.start(11);
  content = await realFile(source(), 9_000_000);
  await granaryJson(['put', source(), 'care/file', ...SCHEME], home());
});
afterAll(() => network.stop());
beforeEach(async () => {
  place = await mkdtemp(join(network.directory, 'try-'));
  await network.reviveAll();
});

it('repairs after farmers were killed, and reads with only the rest', async () => {
  const before = await stat('care/file');
  // Those that hold the most go, so that every segment misses some.
  const worst = [...before.farmers].sort((a, b) => b.shards - a.shards).slice(0, 4);
  for (const { nodeId } of worst) await kill(network.farmer(nodeId));
  const dead = new Set(worst.map(({ nodeId }) => nodeId));
  // They count as gone when they have not answered for a while: not yet in the first round.
  await until('a round of care finds nothing lost, and most shards with the living', async () => {
    const { code, stdout, stderr } = await granary(
      ['repair', '--once', '--offline-after', '100ms', '--json'],
      { home: home() },
    );
    expect([0, 17], stderr).toContain(code);
    if (code !== 0) return false;
    const { lost } = JSON.parse(stdout.toString()) as { lost: number };
    const { farmers, shards, fewestShards } = await stat('care/file');
    expect(fewestShards).toBe(7);
    const alive = farmers.filter(({ nodeId }) => !dead.has(nodeId));
    return lost === 0 && alive.reduce((sum, one) => sum + one.shards, 0) > shards / 2;
  });
  const get = await granary(['get', 'care/file', file('out.bin'), '--force'], { home: home() });
  expect(get.stderr).toBe('');
  expect((await readFile(file('out.bin'))).equals(content)).toBe(true);
  for (const { nodeId } of worst) await network.restart(network.farmer(nodeId));
  // What the dead still held is garbage, and they confirm that it is gone.
  await until('nothing is left to delete', async () => {
    const { stdout, code } = await granary(['gc'], { home: home() });
    const said = stdout.toString();
    expect(said).not.toMatch(/[1-9]\d* were orphans/);
    return code === 0 && /0 were orphans/.test(said) && /nothing is left to delete/.test(said);
  });
});

it('explains how farmers stand', async () => {
  const { stdout, code } = await granary(['farmers'], { home: home() });
  expect(code).toBe(0);
  expect(stdout.toString()).toMatch(
    /why +nothing is known of it yet; .*good after \d+ more audits/,
  );
  const unknown = await granary(['farmers', '--pardon', '0'.repeat(64)], { home: home() });
  expect(unknown.code).toBe(3);
});

it('has a leaving farmer hand its shards over, and end', async () => {
  const { farmers } = await stat('care/file');
  const leaver = network.farmer(farmers[0]!.nodeId);
  await kill(leaver, 'SIGTERM');
  const bootstrap = network.farmers.find((farmer) => farmer !== leaver)!.address;
  const args = ['farm', '--json', '--data', leaver.directory, '--port', String(leaver.port)];
  const leaving = granary([...args, '--bootstrap', bootstrap, '--leave'], {
    onStart: (child) => onTestFinished(() => void child.kill('SIGKILL')), // Also when it took too long.
  });
  // The daemon finds out at its next round.
  await until('its shards are elsewhere', async () => {
    await granary(['repair', '--once'], { home: home() });
    const now = await stat('care/file');
    return !now.farmers.some(({ nodeId }) => nodeId === leaver.nodeId);
  });
  const { code, stdout } = await leaving;
  expect(code).toBe(0);
  const events = stdout
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string });
  expect(events.at(-1)).toEqual({ event: 'left' });
  expect((await stat('care/file')).fewestShards).toBe(7);
  // It may come back, as a farmer that stays.
  const again = granary([...args, '--bootstrap', bootstrap, '--stay'], {
    onStart: (child) => child.stdout?.once('data', () => child.kill('SIGTERM')),
  });
  expect((await again).stdout.toString()).not.toMatch(/leaving/);
  await network.restart(leaver);
});

it('lets another audit by a kit, and anybody judge the proofs', async () => {
  const kit = file('kit.json');
  expect((await granary(['audit-kit', 'care/file', kit], { home: home() })).code).toBe(0);
  const bootstrap = network.farmers[1]!.address;
  const elsewhere = { home: file('nobody') };
  const audit = await granary(['audit', kit, '--bootstrap', bootstrap, '--json'], elsewhere);
  expect(audit.code).toBe(0);
  const results = audit.stdout.toString().trim().split('\n');
  expect(results).toHaveLength((await stat('care/file')).shards);
  await writeFile(file('proofs.jsonl'), audit.stdout);
  const judge = await granary(['judge', file('proofs.jsonl')], elsewhere);
  expect(judge.code).toBe(0);
  expect(judge.stdout.toString()).toMatch(/^held /m);
  const forged = audit.stdout.toString().replace(/"answer":"[0-9a-f]{4}/g, '"answer":"0000');
  await writeFile(file('forged.jsonl'), forged);
  const refused = await granary(['judge', file('forged.jsonl')], elsewhere);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toMatch(/signature/);
});

it('recovers everything from the words and one address, and by an export', async () => {
  const fresh = file('words-home');
  const words = (await granaryJson<{ words: string }>(['init'], fresh)).words;
  await writeFile(
    join(fresh, 'config.json'),
    JSON.stringify({ bootstrap: [network.farmers[2]!.address] }),
  );
  await granaryJson(['put', source(), 'mine/one', ...SCHEME], fresh);
  await granaryJson(['put', source(), 'mine/two', ...SCHEME], fresh);
  await granaryJson(['rm', 'mine/one'], fresh);
  expect((await granary(['export', file('export')], { home: fresh })).code).toBe(0);

  const empty = file('recovered-home');
  const bootstrap = network.farmers[3]!.address;
  const recover = await granary(['recover', '--bootstrap', bootstrap], {
    home: empty,
    input: Buffer.from(`${words}\n`),
  });
  expect(recover.stderr).toBe('');
  expect(recover.stdout.toString()).toMatch(/Recovered 1 object, 9\.0+ MB/);
  expect((await granary(['get', 'mine/two', file('two.bin')], { home: empty })).code).toBe(0);
  expect((await readFile(file('two.bin'))).equals(content)).toBe(true);
  expect((await granary(['recover'], { home: empty })).code).toBe(14);

  const third = file('imported-home');
  await granaryJson(['init', '--words', words, '--bootstrap', bootstrap], third);
  expect((await granary(['import', file('export')], { home: third })).code).toBe(0);
  expect((await granary(['cat', 'mine/two'], { home: third })).stdout.equals(content)).toBe(true);
  const other = await granary(['import', file('export')], { home: home() });
  expect(other.code).toBe(14);
  const stranger = file('stranger-home');
  await granaryJson(['init', '--bootstrap', bootstrap], stranger);
  expect((await granary(['import', file('export')], { home: stranger })).code).toBe(12);
  const nothing = await granary(['recover'], { home: stranger });
  expect(nothing.code).toBe(3);
  expect(nothing.stderr).toMatch(/check the words/);
  // The oldest copy is told that it was left behind.
  const put = await granary(['put', source(), 'mine/three', ...SCHEME], { home: fresh });
  expect(put.code).toBe(0);
  expect(put.stderr).toMatch(/another machine uses the same keys/);
});

it('ends concurrent puts of one name by several processes with one winner and no orphan', async () => {
  const sizes = [1_000_001, 1_000_002, 1_000_003, 1_000_004];
  const sources = await Promise.all(
    sizes.map(async (size) => {
      const path = file(`writer-${size}`);
      await writeFile(path, content.subarray(0, size));
      return path;
    }),
  );
  const puts = await Promise.all(
    sources.map((path) => granary(['put', path, 'race/one', ...SCHEME], { home: home() })),
  );
  for (const { code, stderr } of puts) expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const got = await granary(['cat', 'race/one'], { home: home() });
  expect(sizes).toContain(got.stdout.length);
  expect(got.stdout.equals(content.subarray(0, got.stdout.length))).toBe(true);
  const gc = await granaryJson<{ review: { orphans: number; missing: number; listed: number } }>(
    ['gc'],
    home(),
  );
  expect(gc.review).toMatchObject({ orphans: 0, missing: 0 });
  const { shards } = await granaryJson<{ shards: number }>(['status', '--offline'], home());
  expect(gc.review.listed).toBe(shards);
});
