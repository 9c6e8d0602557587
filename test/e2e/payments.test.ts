import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Identity } from '@granary/kad';
import { deployChannelsContract } from '@granary/payments';
import { evmAddressOf } from '@granary/protocol';
import { EvmNode } from '../../packages/payments/src/evm-node.test-support.js';
import { setUpAnewForRetries } from './support/anew.js';

const PROGRAM = new URL('./support/virtual-node.mjs', import.meta.url).pathname;
const DAY = 24 * 3600 * 1000;
const MONTH = 30n * BigInt(DAY);
// Prices that leave fractions of a unit everywhere.
const STORAGE_PRICE = 4_000_000_007n;
const EGRESS_PRICE = 9_000_000_011n;
const CREDIT = 30_000_000n;
const DEPOSIT = 20_000_000n;
const FUNDS = 10n ** 15n;

/** A process of {@link PROGRAM}. */
class VirtualNode {
  private next = 0;
  private readonly waiting = new Map<number, (message: Answer) => void>();
  nodeId = '';
  address = '';
  publicKey = '';

  private constructor(
    readonly options: Record<string, unknown>,
    readonly child: ChildProcess,
  ) {
    child.on('message', (message: Answer) => this.waiting.get(message.id)?.(message));
    child.once('exit', () => {
      for (const [id, resolve] of this.waiting) resolve({ id, error: 'the node is gone' });
    });
  }

  static async start(options: Record<string, unknown>): Promise<VirtualNode> {
    const child = fork(PROGRAM, [JSON.stringify(options)], {
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    let stderr = '';
    child.stderr!.on('data', (data: Buffer) => (stderr += data.toString()));
    const node = new VirtualNode(options, child);
    running.push(node);
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`a node ended with ${code}: ${stderr}`)));
      child.once('message', ({ ready }: { ready: Partial<VirtualNode> }) => {
        Object.assign(node, ready);
        resolve();
      });
    });
    return node;
  }

  async call<T>(call: string, ...args: unknown[]): Promise<T> {
    const id = (this.next += 1);
    const answer = await new Promise<Answer>((resolve) => {
      this.waiting.set(id, resolve);
      this.child.send({ id, call, args });
    });
    this.waiting.delete(id);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.result as T;
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await gone;
  }

  get evmAddress(): string {
    return evmAddressOf(this.publicKey);
  }
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

interface Terms {
  readonly shardSize: number;
  readonly end: number;
  readonly storagePrice: string;
  readonly egressPrice: string;
}

type Event = { renter: string } & (
  | {
      event: 'countersigned';
      terms?: Terms;
      receipt: { body: { contract: string; direction: string; bytes: number; time: number } };
    }
  | { event: 'audited'; time: number }
  | {
      event: 'renewed';
      renewal: {
        body: { contract: string; end: number; storagePrice: string; egressPrice: string };
      };
    }
  | { event: 'ended'; contract: string; why: string }
);

/**
 * What a farmer is due from a renter, reckoned up from its contracts, receipts and audits alone, by
 * other means than the books: every stretch between audits on its own, in exact fractions.
 */
async function dueOf(farmer: VirtualNode, renter: string): Promise<bigint> {
  const text = await readFile(join(farmer.options['directory'] as string, 'events.jsonl'), 'utf8');
  const open = new Map<string, { terms: Terms; paidTo: number; end: number }>();
  const sizes = new Map<string, Terms>();
  let fine = 0n;
  for (const line of text.trim().split('\n')) {
    const event = JSON.parse(line) as Event;
    if (event.renter !== renter) continue;
    if (event.event === 'countersigned') {
      const { contract, direction, bytes, time } = event.receipt.body;
      if (direction === 'upload' && !sizes.has(contract)) {
        sizes.set(contract, event.terms!);
        open.set(contract, { terms: event.terms!, paidTo: time, end: event.terms!.end });
      }
      if (direction === 'download') {
        fine += BigInt(sizes.get(contract)!.egressPrice) * BigInt(bytes) * MONTH;
      }
    } else if (event.event === 'audited') {
      for (const one of open.values()) {
        const to = Math.min(event.time, one.end);
        if (to <= one.paidTo) continue;
        const ms = BigInt(to - one.paidTo);
        fine += BigInt(one.terms.storagePrice) * BigInt(one.terms.shardSize) * ms;
        one.paidTo = to;
      }
    } else if (event.event === 'renewed') {
      // Prices stay what they were in this test.
      const one = open.get(event.renewal.body.contract);
      if (one !== undefined) one.end = event.renewal.body.end;
    } else {
      open.delete(event.contract);
    }
  }
  return fine / (10n ** 9n * MONTH);
}

let evm: EvmNode;
let directory: string;
let token: `0x${string}`;
let chain: Record<string, unknown>;
const deployer = Identity.generate();
const nodes: VirtualNode[] = [];
/** All that were started, to be ended. */
const running: VirtualNode[] = [];
// A month that ends a little before today: certificates made on the way are valid now.
let offset = -33 * DAY;

async function farmerAt(index: number, more: Record<string, unknown> = {}): Promise<VirtualNode> {
  const node = await VirtualNode.start({
    role: 'farmer',
    offset,
    chain,
    directory: join(directory, `farmer-${index}`),
    bootstrap: nodes.slice(0, 1).map(({ address }) => address),
    storagePrice: STORAGE_PRICE.toString(),
    egressPrice: EGRESS_PRICE.toString(),
    creditLimit: CREDIT.toString(),
    ...more,
  });
  await evm.rpc('anvil_setBalance', [node.evmAddress, '0x56bc75e2d63100000']);
  return node;
}

async function renterAt(name: string, more: Record<string, unknown> = {}): Promise<VirtualNode> {
  const node = await VirtualNode.start({
    role: 'renter',
    offset,
    chain,
    directory: join(directory, name),
    bootstrap: [nodes[0]!.address],
    durationMs: 20 * DAY,
    deposit: DEPOSIT.toString(),
    entropy: randomBytes(32).toString('hex'),
    ...more,
  });
  await evm.rpc('anvil_setBalance', [node.evmAddress, '0x56bc75e2d63100000']);
  return node;
}

/** Let time pass for every process and for the chain. */
async function pass(ms: number, all: readonly VirtualNode[]): Promise<void> {
  offset += ms;
  await Promise.all(all.map((node) => node.call('clock', offset)));
  await evm.rpc('evm_setNextBlockTimestamp', [Math.floor((Date.now() + offset) / 1000)]);
  await evm.mine(3);
}

async function setUp(): Promise<void> {
  offset = -33 * DAY;
  directory = await mkdtemp(join(tmpdir(), 'granary-month-'));
  evm = await EvmNode.start(['--timestamp', String(Math.floor((Date.now() + offset) / 1000))]);
  await evm.fund(deployer);
  token = await evm.token(deployer);
  const contract = await deployChannelsContract(evm.url, deployer, { pollMs: 20 });
  chain = { rpcUrl: evm.url, contract, token };
  for (let i = 0; i < 6; i += 1) nodes.push(await farmerAt(i, { greedy: i === 1 }));
}
async function tearDown(): Promise<void> {
  await Promise.all(running.splice(0).map((node) => node.kill()));
  nodes.length = 0;
  await evm?.stop();
  if (directory !== undefined) await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}
setUpAnewForRetries(setUp, tearDown);

it('pays to the unit, on a chain, for a month of storing, auditing, reading, failing and renewing', async () => {
  let renter = await renterAt('renter');
  await mint(renter.evmAddress, FUNDS);
  const farmers = [...nodes];
  const all = () => [...farmers, renter];
  await renter.call('put', 'first', 700_000);
  await renter.call('put', 'second', 300_000);
  let renewed = 0;
  let failedAudits = 0;
  for (let round = 1; round <= 20; round += 1) {
    await pass(1.5 * DAY, all());
    const report = await renter.call<{
      renewals: { renewed: number };
      audits: { failed: number };
      lost: number;
    }>('care');
    renewed += report.renewals.renewed;
    failedAudits += report.audits.failed;
    expect(report.lost).toBe(0);
    await evm.mine(3);
    if (round % 3 === 0) expect(await renter.call('get', 'first')).toBe(700_000);
    if (round === 3) await renter.call('put', 'third', 500_000);
    if (round === 5) await renter.call('delete', 'second');
    if (round === 7) {
      // A disk is lost: audits fail, nothing more is paid for what is gone, and it is repaired.
      const [{ nodeId }] = await renter.call<[{ nodeId: string }]>('farmersOf', 'first');
      const loser = farmers.find((farmer) => farmer.nodeId === nodeId)!;
      const shards = join(loser.options['directory'] as string, 'shards');
      for (const name of await readdir(shards)) await rm(join(shards, name), { recursive: true });
    }
    if (round === 10) {
      // A farmer and the renter are killed and come back: their books are as they were.
      const at = farmers.findIndex((_, i) => i === 3);
      const port = Number(new URL(farmers[at]!.address).port);
      await farmers[at]!.kill();
      farmers[at] = nodes[at] = await farmerAt(at, {
        port,
        bootstrap: [farmers[0]!.address, farmers[2]!.address],
      });
      await renter.kill();
      renter = await renterAt('renter', renter.options);
      await renter.call('clock', offset);
    }
    if (round % 6 === 0) for (const farmer of farmers) await farmer.call('collect');
  }
  expect(renewed).toBeGreaterThan(0);
  expect(failedAudits).toBeGreaterThan(0);
  // Once more all are audited and paid; a deposit that was raised has to be confirmed first.
  for (let i = 0; i < 3; i += 1) {
    await renter.call('care');
    await evm.mine(3);
  }
  await renter.call('pay');
  const promised = await renter.call<Record<string, string>>('promised');
  let sum = 0n;
  for (const farmer of farmers) {
    const { failures } = await farmer.call<{ failures: string[] }>('collect');
    expect(failures).toEqual([]);
    const due = await dueOf(farmer, renter.nodeId);
    const redeemed = await evm.tokenBalance(token, farmer.evmAddress);
    expect({ farmer: farmer.nodeId, redeemed }).toEqual({ farmer: farmer.nodeId, redeemed: due });
    expect(promised[farmer.nodeId] ?? '0').toBe(due.toString());
    sum += due;
  }
  expect(sum).toBeGreaterThan(10_000_000n);
  // Not a unit has come or gone: what the renter lacks is with farmers or in its channels.
  const left = await evm.tokenBalance(token, renter.evmAddress);
  const inChannels = await evm.tokenBalance(token, chain['contract'] as string);
  expect(left + inChannels + sum).toBe(FUNDS);
  await renter.kill();
});

it('lets a renter that refuses to sign have no more than the credit it was given', async () => {
  const cheat = await renterAt('cheat', { refuseToSign: true });
  nodes.push(cheat);
  await mint(cheat.evmAddress, FUNDS);
  await cheat.call('put', 'loot', 900_000);
  await cheat.call('refuse', true);
  const before = await Promise.all(
    nodes.slice(0, 6).map((farmer) => farmer.call<{ bytesOut: number }>('stats')),
  );
  let got = 0;
  let refusal = '';
  for (let i = 0; i < 200 && refusal === ''; i += 1) {
    await cheat.call<number>('get', 'loot').then(
      (size) => (got += size),
      (error: Error) => (refusal = error.message),
    );
  }
  expect(refusal).toMatch(/pay first/);
  expect(got).toBeGreaterThan(900_000);
  for (const [i, farmer] of nodes.slice(0, 6).entries()) {
    const { bytesOut } = await farmer.call<{ bytesOut: number }>('stats');
    // What it got for nothing is worth no more than its credit.
    const worth = (BigInt(bytesOut - before[i]!.bytesOut) * EGRESS_PRICE) / 10n ** 9n;
    expect(worth).toBeLessThanOrEqual(CREDIT);
  }
  // It signs again, and pays for what it signs for: then it is served again.
  await cheat.call('refuse', false);
  await pass(DAY + 60_000, nodes);
  for (let i = 0; i < 2; i += 1) {
    await cheat.call('care');
    await evm.mine(3);
  }
  // What it never signed for is forgiven after a day: that was the credit.
  for (const farmer of nodes.slice(0, 6)) await farmer.call('collect');
  expect(await cheat.call('get', 'loot')).toBe(900_000);
});

async function mint(to: string, amount: bigint): Promise<void> {
  const { wallet, reader } = evm.clients(deployer);
  const hash = await wallet.writeContract({
    address: token,
    abi: [
      {
        type: 'function',
        name: 'mint',
        stateMutability: 'nonpayable',
        inputs: [{ type: 'address' }, { type: 'uint256' }],
        outputs: [],
      },
    ] as const,
    functionName: 'mint',
    args: [to as `0x${string}`, amount],
  });
  await reader.waitForTransactionReceipt({ hash });
}
