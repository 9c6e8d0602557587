import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EvmNode } from '../../packages/payments/src/evm-node.test-support.js';
import { TestNetwork, granary, granaryJson, kill, realFile, until } from './support/granary.js';

const PRICE = '1000000000000';
const PRICES = ['--price', PRICE, '--egress-price', PRICE];
const DAY = 24 * 3600;

interface ChannelLine {
  readonly id: string;
  readonly peer: string;
  readonly state: string;
  readonly deposit: string | null;
  readonly promised: string;
  readonly settled: string;
}

/** The lines of JSON that a command prints. */
async function lines<T>(args: readonly string[], home: string): Promise<T[]> {
  const { code, stdout, stderr } = await granary([...args, '--json'], { home });
  if (code !== 0) throw new Error(`granary ${args.join(' ')} ended with ${code}: ${stderr}`);
  return stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

/** What `costs` and `earnings` say of each peer. */
async function due(args: readonly string[], home: string): Promise<Map<string, string>> {
  type Row = { peer: string; storage: string; egress: string; contracts: number };
  const { accounts } = await granaryJson<{ accounts: Row[] }>(args, home);
  return new Map(
    accounts.map((row) => [row.peer, `${row.contracts}: ${row.storage} and ${row.egress}`]),
  );
}

describe('paid by ledger', () => {
  let network: TestNetwork;
  let home: string;
  beforeAll(async () => {
    network = await TestNetwork.start(3, [...PRICES, '--credit', '1000000000000000']);
    home = network.home;
    await realFile(join(network.directory, 'file'), 3_000_000);
  });
  afterAll(() => network.stop());

  it('stores nothing that costs more than was allowed, and says which setting it is', async () => {
    await network.configure();
    const args = ['put', join(network.directory, 'file'), 'a/file', '--scheme', '1/1/3/3'];
    const { code, stderr } = await granary(args, { home });
    expect(code).not.toBe(0);
    expect(stderr).toContain('maxPrice');
    const bootstrap = network.farmers.map(({ address }) => address);
    const config = { bootstrap, maxPrice: PRICE, maxEgressPrice: PRICE };
    await writeFile(join(home, 'config.json'), JSON.stringify(config));
    expect((await granary(args, { home })).code).toBe(0);
  });

  it('counts the same on both sides though every farmer is killed in the middle', async () => {
    await network.reviveAll();
    // Killed within the moment that receipts wait for each other, or hardly later.
    await Promise.all(network.farmers.map((farmer) => kill(farmer)));
    for (const farmer of network.farmers) await network.restart(farmer);
    for (let i = 0; i < 2; i += 1) {
      // Several receipts of one contract, too.
      for (const copy of ['a', 'b']) {
        const get = ['get', 'a/file', join(network.directory, `copy${i}${copy}`), '--force'];
        expect((await granary(get, { home })).code).toBe(0);
      }
      await Promise.all(network.farmers.map((farmer) => kill(farmer)));
      for (const farmer of network.farmers) await network.restart(farmer);
    }
    expect((await granary(['repair', '--once', '--audit-all'], { home })).code).toBe(0);
    const costs = await due(['costs'], home);
    expect(costs.size).toBe(3);
    for (const { nodeId, directory } of network.farmers) {
      const [earned] = (await due(['earnings', '--data', directory], home)).values();
      expect(earned).toBe(costs.get(nodeId));
      expect(earned).toMatch(/^1: [1-9]/);
    }
  });

  it('has a statement signed that shows what was received outside', async () => {
    const { nodeId, directory } = network.farmers[0]!;
    const [channel] = await lines<ChannelLine>(['channels', 'list', '--data', directory], home);
    const renter = channel!.peer;
    expect(BigInt(channel!.promised)).toBeGreaterThan(0n);
    const before = BigInt(channel!.settled);
    const received = (units: string) =>
      granary(['channels', 'received', renter, units, '--data', directory], { home });
    const tooMuch = await received((BigInt(channel!.promised) - before + 1n).toString());
    expect(tooMuch.code).not.toBe(0);
    expect(tooMuch.stderr).toContain('is too much');
    expect((await received('7')).code).toBe(0);
    const settled = String(before + 7n);
    const statement = await granaryJson<{ body: object }>(['channels', 'statement', nodeId], home);
    expect(statement.body).toMatchObject({ promised: channel!.promised, settled });
    const few = await granary(['channels', 'statement', nodeId.slice(0, 7)], { home });
    expect(few.stderr).toContain('at least 8 digits');
    const ours = await lines<ChannelLine>(['channels', 'list'], home);
    expect(ours.find(({ peer }) => peer === nodeId)).toMatchObject({ settled });
    const close = await granary(['channels', 'close', channel!.id], { home });
    expect(close.stderr).toContain('no deposit');
  });
});

describe('paid on a chain', () => {
  let chain: EvmNode;
  let network: TestNetwork;
  let home: string;
  let contract: string;
  beforeAll(async () => {
    chain = await EvmNode.start();
  });
  afterAll(() => chain?.stop());
  // A network for each test, and for each try.
  beforeEach(async () => {
    network = await TestNetwork.start(1);
    home = network.home;
    await realFile(join(network.directory, 'file'), 1_000_000);
  });
  afterEach(() => network?.stop());

  const fund = async (args: readonly string[]) => {
    const { address } = await granaryJson<{ address: string }>(['wallet', ...args], home);
    await chain.rpc('anvil_setBalance', [address, `0x${(10n ** 19n).toString(16)}`]);
    return address;
  };

  it('says where to send the coin that the contract costs, and deploys it', async () => {
    const poor = await granary(['channels', 'deploy', '--rpc', chain.url], { home });
    expect(poor.code).not.toBe(0);
    const address = await fund(['--rpc', chain.url]);
    expect(poor.stderr).toContain(`${address}: send some there`);
    const deploy = ['channels', 'deploy', '--rpc', chain.url];
    ({ contract } = await granaryJson<{ contract: string }>(deploy, home));
    expect(contract).toMatch(/^0x[0-9a-f]{40}$/);
  });

  it('opens, pays, redeems, closes after the challenge period, and takes the rest back', async () => {
    await fund(['--rpc', chain.url]);
    const settings = { rpc: chain.url, contract, challenge: '3d' };
    const farmer = await network.addFarmer([
      ...['--rpc', chain.url, '--contract', contract],
      ...[...PRICES, '--credit', '1000000000000000'],
    ]);
    const bootstrap = network.farmers.map(({ address }) => address);
    const budget = { maxPrice: PRICE, maxEgressPrice: PRICE, deposit: '9000000' };
    await writeFile(
      join(home, 'config.json'),
      JSON.stringify({ bootstrap, ...settings, ...budget }),
    );
    const onChain = ['--data', farmer.directory, '--rpc', chain.url, '--contract', contract];
    await fund(onChain);
    // Two farmers: one is for free, so that each of them holds a shard.
    const put = ['put', join(network.directory, 'file'), 'a/file', '--scheme', '1/1/2/2'];
    expect((await granary(put, { home })).code).toBe(0);
    await granary(['repair', '--once', '--audit-all'], { home });
    const pay = await granary(['channels', 'pay'], { home });
    expect(pay.code).toBe(0);
    expect(pay.stdout.toString()).toContain('when the chain has confirmed the deposit');
    await chain.mine(12); // as many as the farmer waits for
    expect((await granary(['channels', 'pay'], { home })).code).toBe(0);
    const listed = async () => (await lines<ChannelLine>(['channels', 'list'], home))[0]!;
    const open = await listed();
    expect(open).toMatchObject({ state: 'open', deposit: '9000000', peer: farmer.nodeId });
    expect(BigInt(open.promised)).toBeGreaterThan(0n);
    const redeem = ['channels', 'redeem', ...onChain];
    const { redeemed } = await granaryJson<{ redeemed: string }>(redeem, home);
    const theirs = await lines<ChannelLine>(['channels', 'list', '--data', farmer.directory], home);
    expect(theirs[0]).toMatchObject({ id: open.id, settled: redeemed });
    expect(BigInt(redeemed)).toBeGreaterThan(0n);
    // Closing takes its time.
    expect((await granary(['channels', 'close', open.id], { home })).code).toBe(0);
    const early = await granary(['channels', 'withdraw', open.id], { home });
    expect(early.stderr).toContain('challenge period is not over');
    await chain.pass(3 * DAY + 1);
    const left = await granary(['channels', 'withdraw', open.id], { home });
    expect(left.code).toBe(0);
    const { settled, state } = await listed();
    expect(state).toBe('closed');
    expect(left.stdout.toString()).toContain(`${9_000_000n - BigInt(settled)} came back`);
    expect(BigInt(settled)).toBeGreaterThanOrEqual(BigInt(redeemed));
  });

  it('pays a tunnel from a channel of its own, and takes the rest back', async () => {
    const onChain = ['--rpc', chain.url, '--contract', contract];
    const price = '1000000000'; // a unit for a byte
    const tunnel = await network.addFarmer([
      ...['--tunnels', 'never', '--offer-tunnel', 'always', '--tunnel-ports', '31000-31999'],
      ...['--tunnel-price', price, '--credit', '12000000', ...onChain],
    ]);
    await fund(['--data', tunnel.directory, ...onChain]);
    // Its own address leads nowhere, and it pays in what will be enough.
    process.env['GRANARY_DEPOSIT'] = '50000000';
    const hidden = await network.addFarmer([
      ...['--tunnels', 'always', '--offer-tunnel', 'never', '--announce', 'https://127.0.0.1:9'],
      ...['--max-tunnel-price', price, ...onChain],
    ]);
    delete process.env['GRANARY_DEPOSIT'];
    await fund(['--data', hidden.directory, ...onChain]);
    const bootstrap = network.farmers.slice(0, 2).map(({ address }) => address);
    // Three are for free: one that was there before, the tunnel, and who is behind it.
    await writeFile(join(home, 'config.json'), JSON.stringify({ bootstrap }));
    await realFile(join(network.directory, 'file'), 5_000_000);
    const put = ['put', join(network.directory, 'file'), 'a/more', '--scheme', '1/1/3/3'];
    const list = ({ directory }: { directory: string }) =>
      lines<ChannelLine & { with: string }>(['channels', 'list', '--data', directory], home);
    // It takes a moment until it is reached through the tunnel, and blocks until a deposit is good.
    await until(
      'the hidden farmer has paid its tunnel',
      async () => {
        if ((await granary(put, { home })).code !== 0) return false;
        await chain.mine(12);
        return (await list(tunnel)).some(({ promised }) => promised !== '0');
      },
      180_000,
    );
    await kill(hidden, 'SIGTERM'); // it pays what is due before it goes
    const [theirs] = await list(tunnel);
    expect(theirs).toMatchObject({ with: 'renter', peer: hidden.nodeId, state: 'open' });
    const [ours] = await list(hidden);
    expect(ours).toMatchObject({ with: 'tunnel', peer: tunnel.nodeId, id: theirs!.id });
    const { accounts } = await granaryJson<{ accounts: { tunnel: string; peer: string }[] }>(
      ['costs', '--data', hidden.directory],
      home,
    );
    expect(accounts).toMatchObject([{ peer: tunnel.nodeId }]);
    expect(Number(accounts[0]!.tunnel)).toBeGreaterThan(4_000_000);
    await kill(tunnel, 'SIGTERM');
    const { redeemed } = await granaryJson<{ redeemed: string }>(
      ['channels', 'redeem', '--data', tunnel.directory, ...onChain],
      home,
    );
    const [paid] = await list(tunnel);
    expect(paid).toMatchObject({ promised: paid!.settled });
    expect(BigInt(redeemed)).toBeGreaterThan(0n);
    const close = ['--data', hidden.directory, ...onChain];
    expect((await granary(['channels', 'close', ours!.id, ...close], { home })).code).toBe(0);
    await chain.pass(7 * DAY + 1);
    const left = await granary(['channels', 'withdraw', ours!.id, ...close], { home });
    expect(left.stderr).toBe('');
    const [closed] = await list(hidden);
    expect(closed).toMatchObject({ state: 'closed', settled: paid!.settled });
    const rest = BigInt(closed!.deposit!) - BigInt(closed!.settled);
    expect(left.stdout.toString()).toContain(`${rest} came back`);
  });
});
