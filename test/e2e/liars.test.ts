import { createServer } from 'node:net';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type FarmerProcess,
  TestNetwork,
  granary,
  granaryJson,
  realFile,
} from './support/granary.js';
import { TcpProxy } from './support/tcp-proxy.js';

let network: TestNetwork;
const proxies: TcpProxy[] = [];

/** A farmer that others reach through a proxy. */
async function behindProxy(): Promise<{ farmer: FarmerProcess; proxy: TcpProxy }> {
  const proxy = await TcpProxy.start();
  proxies.push(proxy);
  proxy.target = await freePort();
  const announce = `https://127.0.0.1:${proxy.port}`;
  const farmer = await network.addFarmer(['--announce', announce], proxy.target);
  return { farmer, proxy };
}

/** A port that nobody listens on at this moment. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function shardFiles(farmer: FarmerProcess): Promise<string[]> {
  const below = join(farmer.directory, 'shards');
  const names = await readdir(below, { recursive: true });
  return names.filter((name) => /\/[0-9a-f]{64}$/.test(name)).map((name) => join(below, name));
}

beforeAll(async () => {
  network = await TestNetwork.start(6);
});
afterAll(async () => {
  await network.stop();
  await Promise.all(proxies.map((proxy) => proxy.stop()));
});

it('reads the truth when all but k farmers lie, each in its own way', async () => {
  const cutting = await behindProxy();
  const stalling = await behindProxy();
  const source = join(network.directory, 'source.bin');
  // Four segments, of which three are as long as each other.
  const content = await realFile(source, 60_000_000);
  await granaryJson(['put', source, 'lies/file', '--scheme', '3/4/8/8'], network.home);
  const before = await granaryJson<{ fewestShards: number }>(['stat', 'lies/file'], network.home);
  expect(before.fewestShards).toBe(8);

  // Wrong bytes: some bytes in the middle of each shard are others.
  for (const path of await shardFiles(network.farmers[0]!)) {
    const bytes = await readFile(path);
    bytes.fill(0x55, 50_000, 50_100);
    await writeFile(path, bytes);
  }
  // Acknowledged and forgotten.
  await rm(join(network.farmers[1]!.directory, 'shards'), { recursive: true });
  await mkdir(join(network.farmers[1]!.directory, 'shards'));
  // The right length and the wrong hash: each shard is another one, leaves and all.
  const swapped = await shardFiles(network.farmers[2]!);
  const contents = await Promise.all(swapped.map((path) => readFile(path)));
  const longest = Math.max(...contents.map(({ length }) => length));
  const rotated = swapped.filter((_, i) => contents[i]!.length === longest);
  expect(rotated.length).toBeGreaterThan(1);
  for (let i = 0; i < rotated.length; i += 1) {
    const from = rotated[(i + 1) % rotated.length]!;
    await writeFile(rotated[i]!, contents[swapped.indexOf(from)]!);
  }
  // A stream cut off in the middle, and one that stalls for ever.
  cutting.proxy.mischief = { kind: 'cut', afterBytes: 200_000 };
  stalling.proxy.mischief = { kind: 'stall', afterBytes: 200_000 };

  const target = join(network.directory, 'out.bin');
  const got = await granary(['get', 'lies/file', target, '--log-level', 'info'], {
    home: network.home,
  });
  expect(got.code).toBe(0);
  expect((await readFile(target)).equals(content)).toBe(true);
  // Each of them was asked, and each was found out.
  expect(got.stderr).toMatch(/not the one it signed for \(its bytes\)/);
  expect(got.stderr).toMatch(/not the one it signed for \(its proof\)/);
  expect(got.stderr).toMatch(/the shard is lost here/);
  expect(cutting.proxy.done + stalling.proxy.done).toBeGreaterThan(0);

  // A range read of what only liars and the last three have is as true.
  const range = await granary(['cat', 'lies/file', '--range', '9000000-9099999'], {
    home: network.home,
  });
  expect(range.stdout.equals(content.subarray(9_000_000, 9_100_000))).toBe(true);
});

it('stores elsewhere what a farmer cuts off or lets stall', async () => {
  const source = join(network.directory, 'source.bin');
  const put = await granary(['put', source, 'lies/second', '--scheme', '3/4/6/8', '--json'], {
    home: network.home,
  });
  expect(put.code).toBe(0);
  const target = join(network.directory, 'second.bin');
  expect((await granary(['get', 'lies/second', target], { home: network.home })).code).toBe(0);
  expect((await readFile(target)).equals(await readFile(source))).toBe(true);
});
