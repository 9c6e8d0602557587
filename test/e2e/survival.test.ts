import { mkdir, readFile, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { HASH_SIZE, STREAM_LEVEL, ShardTree, leafCount, levelCount } from '@granary/protocol';
import { isRetry } from './support/anew.js';
import {
  type FarmerProcess,
  type Finished,
  TestNetwork,
  endItself,
  granary,
  granaryJson,
  kill,
  realFile,
  until,
} from './support/granary.js';

const SIZE = 110_000_000;
const SCHEME = '4/6/12/12';
interface Stat {
  readonly sha256: string;
  readonly segments: number;
  readonly fewestShards: number;
  readonly farmers: { nodeId: string; shards: number }[];
}

let network: TestNetwork;
let source: string;
let content: Buffer;

beforeAll(async () => {
  network = await TestNetwork.start(12, ['--reservation', '8s']);
  source = join(network.directory, 'source.bin');
  content = await realFile(source, SIZE);
});
afterAll(() => network.stop());
beforeEach(() => network.reviveAll());

const file = (name: string) => join(network.directory, name);
/** Where a command writes to: nothing is there, whatever a first try has left. */
const fresh = async (name: string) => {
  await rm(file(name), { force: true });
  return file(name);
};
const shardsOf = async ({ directory }: FarmerProcess) =>
  (await filesBelow(join(directory, 'shards'))).size;
const same = async (name: string) => (await readFile(file(name))).equals(content);

/** All files below a directory, with their sizes. */
async function filesBelow(directory: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const name of await readdir(directory, { recursive: true })) {
    const info = await stat(join(directory, name)).catch(() => undefined);
    if (info?.isFile() === true) found.set(name, info.size);
  }
  return found;
}

/** Check every shard file of a farmer against nothing but itself: its bytes against its leaves. */
async function verifyShards(directory: string): Promise<number> {
  let count = 0;
  const below = join(directory, 'shards');
  for (const [name, size] of await filesBelow(below)) {
    const bytes = await readFile(join(below, name));
    // A file is its shard, 32 bytes for every begun 4,096 of it, 8 and 32 for every begun 65,536 when those are
    // several, and a trailer: its contract, a magic number, the contract's length and its hash.
    const length = bytes.readUInt32BE(size - 36);
    const document = bytes.subarray(size - 44 - length, size - 44);
    const { contract } = JSON.parse(document.toString()) as {
      contract: { terms: { shardSize: number; shardHash: string } };
    };
    const { shardSize, shardHash } = contract.terms;
    const leavesEnd = shardSize + leafCount(shardSize) * HASH_SIZE;
    const nodes = levelCount(leafCount(shardSize), STREAM_LEVEL);
    const nodesSize = nodes > 1 ? 8 + nodes * HASH_SIZE : 0;
    expect(leavesEnd + nodesSize).toBe(size - 44 - length);
    const tree = ShardTree.of(bytes.subarray(0, shardSize));
    expect(Buffer.from(tree.root()).toString('hex')).toBe(shardHash);
    const leaves = bytes.subarray(shardSize, leavesEnd);
    expect(Buffer.from(tree.leaves()).equals(leaves), name).toBe(true);
    const stored = bytes.subarray(leavesEnd + Math.min(nodesSize, 8), leavesEnd + nodesSize);
    const above = nodes > 1 ? tree.nodes(STREAM_LEVEL) : new Uint8Array(0);
    expect(Buffer.from(above).equals(stored), name).toBe(true);
    count += 1;
  }
  return count;
}

describe('a 110 MB file on 12 farmers', () => {
  it('reads back byte for byte with only k farmers alive', async () => {
    const put = await granaryJson<{ shards: number; segments: number }>(
      ['put', source, 'e2e/whole', '--scheme', SCHEME],
      network.home,
    );
    expect(put.shards).toBe(12 * put.segments);
    const before = await granaryJson<Stat>(['stat', 'e2e/whole'], network.home);
    expect(before.farmers.length).toBe(12);
    const victims = before.farmers.slice(0, 8).map(({ nodeId }) => network.farmer(nodeId));
    await Promise.all(victims.map((farmer) => kill(farmer, 'SIGKILL')));
    const out = await fresh('whole.out');
    const got = await granary(['get', 'e2e/whole', out], { home: network.home });
    expect(got.stderr).toBe('');
    expect(got.code).toBe(0);
    expect(await same('whole.out')).toBe(true);

    const range = await granary(['cat', 'e2e/whole', '--range', '54321987-54421986'], {
      home: network.home,
    });
    expect(range.stdout.equals(content.subarray(54_321_987, 54_421_987))).toBe(true);

    // One more, and it says so plainly.
    const last = network.farmer(before.farmers[8]!.nodeId);
    await kill(last, 'SIGKILL');
    const none = await fresh('no.out');
    const failed = await granary(['get', 'e2e/whole', none], { home: network.home });
    expect(failed.code).toBe(8);
    expect(failed.stderr).toMatch(/^granary: segment 0: 3 of the 4 shards needed could be read/);
    await network.reviveAll();
  });

  it('goes on with a put after the renter was killed in the middle of it', async ({ task }) => {
    if (isRetry(task)) {
      await granary(['put', source, 'e2e/resumed', '--scheme', SCHEME], { home: network.home });
      await granary(['rm', 'e2e/resumed'], { home: network.home });
    }
    // Nobody else adds to these or takes from them. Two segments of twelve shards are in work at one time: when more
    // are there, one is done.
    const held = await Promise.all(network.farmers.map(shardsOf));
    const first = granary(['put', source, 'e2e/resumed', '--scheme', SCHEME], {
      home: network.home,
      env: endItself({
        folders: network.farmers.map(({ directory }) => join(directory, 'shards')),
        files: held.reduce((sum, shards) => sum + shards, 40),
        signal: 'SIGKILL',
      }),
    });
    expect((await first).signal).toBe('SIGKILL');
    const unfinished = await granaryJson<{ unfinishedUploads: object[] }>(
      ['status', '--offline'],
      network.home,
    );
    expect(unfinished.unfinishedUploads).toHaveLength(1);
    const missing = await granary(['stat', 'e2e/resumed'], { home: network.home });
    expect(missing.code).toBe(3);
    const again = await granaryJson<{ resumedSegments: number; segments: number }>(
      ['put', source, 'e2e/resumed', '--scheme', SCHEME],
      network.home,
    );
    expect(again.resumedSegments).toBeGreaterThan(0);
    expect(again.resumedSegments).toBeLessThan(again.segments);
    const out = await fresh('resumed.out');
    expect((await granary(['get', 'e2e/resumed', out], { home: network.home })).code).toBe(0);
    expect(await same('resumed.out')).toBe(true);
  });

  it('goes on with a get after it was killed in the middle, of an object and by a link', async () => {
    const shared = await granaryJson<{ link: string }>(['share', 'e2e/resumed'], network.home);
    for (const [what, home] of [
      ['e2e/resumed', network.home],
      [shared.link, file('stranger')],
    ] as const) {
      const folder = file('interrupted');
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder);
      const target = join(folder, 'out');
      const partSize = async () => {
        const names = await readdir(folder);
        const part = names.find((name) => name.startsWith('out.'));
        return part === undefined ? 0 : (await stat(join(folder, part))).size;
      };
      const killed = await granary(['get', what, target], {
        home,
        env: endItself({ folders: [folder], bytes: 20_000_001, signal: 'SIGKILL' }),
      });
      expect(killed.signal).toBe('SIGKILL');
      await expect(stat(target)).rejects.toThrow(/ENOENT/);
      expect(await partSize()).toBeGreaterThan(20_000_000);
      const again: Finished = await granary(['get', what, target], { home });
      expect(again.code).toBe(0);
      expect(again.stderr).toMatch(/were there from before/);
      expect(await same('interrupted/out')).toBe(true);
      expect(await partSize()).toBe(0);
    }
  });

  it('loses nothing acknowledged, and leaves nothing half-written, when a farmer is killed in an upload', async () => {
    const begin = await Promise.all(network.farmers.map(shardsOf));
    const put = granary(['put', source, 'e2e/killed', '--scheme', '4/6/10/12', '--json'], {
      home: network.home,
    });
    // The first that has three: the put does without those that are slow.
    let chosen = -1;
    await until('a farmer stores shards', async () => {
      const now = await Promise.all(network.farmers.map(shardsOf));
      chosen = now.findIndex((shards, i) => shards > begin[i]! + 2);
      return chosen !== -1;
    });
    const victim = network.farmers[chosen]!;
    await kill(victim, 'SIGKILL');
    // As it was when it died, while nobody can delete any.
    expect(await verifyShards(victim.directory)).toBeGreaterThan(begin[chosen]! + 2);
    await network.restart(victim);
    expect((await put).code).toBe(0);

    // Whatever the manifest counts on at the victim is there: two shards may have been on their way.
    const after = await granaryJson<Stat>(['stat', 'e2e/killed'], network.home);
    const counted = after.farmers.find(({ nodeId }) => nodeId === victim.nodeId)?.shards ?? 0;
    expect(counted).toBeGreaterThan(0);
    const care = await granaryJson<{ lost: number; audits: { failed: number } }>(
      ['repair', '--once', '--audit-all'],
      network.home,
    );
    expect(care).toMatchObject({ lost: 0, audits: { failed: 0 } });
    const others = network.farmers.filter((f) => f !== victim);
    for (const other of others.slice(0, 6)) await kill(other, 'SIGKILL');
    const out = await fresh('killed.out');
    const got = await granary(['get', 'e2e/killed', out], { home: network.home });
    expect(got.stderr).toBe('');
    expect(await same('killed.out')).toBe(true);
    await network.reviveAll();

    for (const farmer of network.farmers) {
      await until(
        'parts are gone',
        async () => (await readdir(join(farmer.directory, 'partial'))).length === 0,
      );
      await verifyShards(farmer.directory);
    }
  });

  it('leaves no shard behind when everything is deleted', async () => {
    const listed = await granary(['ls', 'e2e', '--json'], { home: network.home });
    for (const line of listed.stdout.toString().trim().split('\n').filter(Boolean)) {
      const { name } = JSON.parse(line) as { name: string };
      const { code, stderr } = await granary(['rm', `e2e/${name}`], { home: network.home });
      expect(stderr).toBe('');
      expect(code).toBe(0);
    }
    expect((await granary(['gc'], { home: network.home })).code).toBe(0);
    for (const farmer of network.farmers) {
      expect((await filesBelow(join(farmer.directory, 'shards'))).size, farmer.directory).toBe(0);
      expect(await readdir(join(farmer.directory, 'partial'))).toEqual([]);
    }
  });
});
