import { createServer } from 'node:net';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { setUpAnewForRetries } from './support/anew.js';
import {
  type FarmerProcess,
  TestNetwork,
  granary,
  granaryJson,
  realFile,
  until,
} from './support/granary.js';
import { TcpProxy } from './support/tcp-proxy.js';

let network: TestNetwork;
let source: string;
let content: Buffer;
const proxies: TcpProxy[] = [];

/** A farmer that others reach through a proxy. */
async function behindProxy(): Promise<void> {
  const proxy = await TcpProxy.start();
  proxies.push(proxy);
  proxy.target = await freePort();
  const announce = `https://127.0.0.1:${proxy.port}`;
  await network.addFarmer(['--announce', announce], proxy.target);
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

async function setUp(): Promise<void> {
  network = await TestNetwork.start(5);
  for (let i = 0; i < 3; i += 1) await behindProxy();
  source = join(network.directory, 'source.bin');
  // Four segments, of which three are as long as each other.
  content = await realFile(source, 60_000_000);
}
async function tearDown(): Promise<void> {
  await network?.stop();
  await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
}
setUpAnewForRetries(setUp, tearDown);

/** A stream cut off in the middle, and one that stalls for ever. @returns the proxies that do so */
function doMischief(): TcpProxy[] {
  const [cutting, stalling] = proxies as [TcpProxy, TcpProxy, TcpProxy];
  cutting.mischief = { kind: 'cut', afterBytes: 200_000 };
  stalling.mischief = { kind: 'stall', afterBytes: 200_000 };
  return [cutting, stalling];
}

it('reads the truth when all but k farmers lie, each in its own way', async () => {
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
  const liars = doMischief();

  // Two that tell the truth answer, and the third takes its time: so all the others are asked, and each is found out.
  const slow = proxies[2]!;
  slow.mischief = { kind: 'trickle', afterBytes: 200_000 };
  const target = join(network.directory, 'out.bin');
  let said = '';
  let over = false;
  const getting = granary(['get', 'lies/file', target, '--log-level', 'info'], {
    home: network.home,
    onStart: (child) => child.stderr!.on('data', (data: Buffer) => (said += data.toString())),
  }).finally(() => (over = true));
  const signs = [
    /not the one it signed for \(its bytes\)/,
    /not the one it signed for \(its proof\)/,
    /the shard is lost here/,
  ];
  const foundOut = () =>
    signs.every((sign) => sign.test(said)) && liars.every((proxy) => proxy.done > 0);
  try {
    await until('all liars are found out', () => over || foundOut());
  } finally {
    slow.mischief = { kind: 'none' };
  }
  const got = await getting;
  expect(got.code, got.stderr).toBe(0);
  expect((await readFile(target)).equals(content)).toBe(true);
  for (const sign of signs) expect(got.stderr).toMatch(sign);
  expect(liars.map(({ done }) => done > 0)).toEqual([true, true]);

  // A range read of what only liars and the last three have is as true.
  const range = await granary(['cat', 'lies/file', '--range', '9000000-9099999'], {
    home: network.home,
  });
  expect(range.stdout.equals(content.subarray(9_000_000, 9_100_000))).toBe(true);
});

it('stores elsewhere what a farmer cuts off or lets stall', async () => {
  doMischief();
  const put = await granary(['put', source, 'lies/second', '--scheme', '3/4/6/8', '--json'], {
    home: network.home,
  });
  expect(put.code).toBe(0);
  const target = join(network.directory, 'second.bin');
  expect((await granary(['get', 'lies/second', target], { home: network.home })).code).toBe(0);
  expect((await readFile(target)).equals(await readFile(source))).toBe(true);
});
