import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Identity } from '@granary/kad';
import { contractHash, evmAddressOf, payRequest, signVoucher, toHex } from '@granary/protocol';
import { EvmNode } from './evm-node.test-support.js';
import {
  type RowWriter,
  type Rows,
  type Settlement,
  deployChannelsContract,
  evmCurrencyName,
  evmSettlement,
  parseEvmCurrency,
} from './index.js';
import { HandClock, Pair } from './pair.test-support.js';

const HOUR = 3600 * 1000;
const DAY = 24 * HOUR;
const CONFIRMATIONS = 3;
const deployer = Identity.generate();
let node: EvmNode;
let contract: string;
let token: `0x${string}`;
let pair: Pair | undefined;

beforeAll(async () => {
  node = await EvmNode.start();
  await node.fund(deployer);
  contract = await deployChannelsContract(node.url, deployer, { pollMs: 20 });
  token = await node.token(deployer);
}, 120_000);
afterAll(() => node.stop());
afterEach(async () => {
  await pair?.stop();
  pair = undefined;
});

const settlementOf = (identity: Identity, of: string = token) =>
  evmSettlement({
    rpcUrl: node.url,
    contract,
    token: of,
    identity,
    confirmations: CONFIRMATIONS,
    challengeMs: 3 * DAY,
    timeoutMs: 3_000,
    transactionMs: 5_000,
    pollMs: 20,
  });
const balanceOf = (identity: Identity, of = token) =>
  node.tokenBalance(of, evmAddressOf(toHex(identity.publicKey)));
const held = () => node.tokenBalance(token, contract);

async function start(
  wrap: (settlement: Settlement, who: 'payer' | 'payee') => Settlement = (settlement) => settlement,
): Promise<Pair> {
  const [renter, farmer] = [Identity.generate(), Identity.generate()];
  for (const one of [renter, farmer]) await node.fund(one);
  await node.mint(token, deployer, renter, 1_000_000n);
  const clock = new HandClock();
  pair = await Pair.start({
    renter,
    farmer,
    clock,
    payerSettlement: wrap(await settlementOf(renter), 'payer'),
    payeeSettlement: wrap(await settlementOf(farmer), 'payee'),
    limits: { deposit: 1000n },
  });
  return pair;
}

/** Pay; when a deposit has still to be confirmed, let blocks come and pay again. */
async function pay(one: Pair): Promise<void> {
  try {
    await one.settle();
  } catch (error) {
    if (!/good for/.test(String(error))) throw error;
    await node.mine(CONFIRMATIONS);
    await one.settle();
  }
}
const theChannel = (one: Pair) =>
  one.payer.book.channelsWith(one.farmer.nodeId, one.currency).at(-1)!;

it('names currencies so that both sides mean the same', () => {
  const name = evmCurrencyName({ chainId: 31337, token });
  expect(name).toBe(`eip155:31337/erc20:${token}`);
  expect(name.length).toBeLessThanOrEqual(64);
  expect(parseEvmCurrency(name)).toEqual({ chainId: 31337, token });
  expect(parseEvmCurrency('eip155:1/slip44:60').chainId).toBe(1);
  for (const bad of ['credit', 'eip155:0/slip44:60', 'eip155:1/erc20:0x12', 'eip155:1/erc721:0x']) {
    expect(() => parseEvmCurrency(bad)).toThrow(/no currency/);
  }
});

describe('paying on a chain', () => {
  it('opens, pays, tops up, redeems and closes; every unit is accounted for', async () => {
    const one = await start();
    const before = await held();
    const shard = await one.store();
    await one.transfer(shard, 'download', 800_000);
    await pay(one);
    expect(one.sums()).toEqual({ promised: 800n, held: 800n, claimed: 800n });
    expect(await held()).toBe(before + 1000n);
    await one.transfer(shard, 'download', 800_000);
    await pay(one);
    expect(theChannel(one)).toMatchObject({ deposit: 2000n, state: 'open' });
    expect(await one.payee.collect()).toEqual({ redeemed: 1600n, failures: [] });
    expect(await one.payee.collect()).toEqual({ redeemed: 0n, failures: [] });
    expect(await balanceOf(one.farmer)).toBe(1600n);
    const settlement = await settlementOf(one.renter);
    const closing = await one.payer.requestClose(theChannel(one), settlement);
    expect(closing.state).toBe('closing');
    await expect(one.payer.withdraw(closing, settlement)).rejects.toThrow(
      /challenge period is not over/,
    );
    await node.pass((3 * DAY) / 1000 + 1);
    expect((await one.payer.withdraw(closing, settlement)).state).toBe('closed');
    expect(await balanceOf(one.renter)).toBe(1_000_000n - 1600n);
    expect(await held()).toBe(before);
    // The next payment opens another channel; what was paid counts.
    await one.transfer(shard, 'download', 100_000);
    await pay(one);
    expect(one.sums()).toEqual({ promised: 1700n, held: 1700n, claimed: 1700n });
    await one.payee.collect();
    expect(await balanceOf(one.farmer)).toBe(1700n);
  });

  it('says what is wrong with a contract, a node, a token, and too little money', async () => {
    const poor = Identity.generate();
    await expect(
      evmSettlement({ rpcUrl: node.url, contract: `0x${'12'.repeat(20)}`, token, identity: poor }),
    ).rejects.toThrow(/no contract at/);
    await expect(
      evmSettlement({ rpcUrl: 'ftp://x', contract, token, identity: poor }),
    ).rejects.toThrow(/no address of a node/);
    await expect(
      evmSettlement({
        rpcUrl: 'http://127.0.0.1:1',
        contract,
        token,
        identity: poor,
        timeoutMs: 500,
      }),
    ).rejects.toMatchObject({ code: 'PAYMENT_CHAIN_UNREACHABLE' });
    await expect(
      evmSettlement({ rpcUrl: node.url, contract, token: 'gold', identity: poor }),
    ).rejects.toThrow(/no address/);
    const settlement = await settlementOf(poor);
    const party = { nodeId: poor.nodeId, publicKey: toHex(poor.publicKey) };
    const parties = { payer: party, payee: party, currency: settlement.currency };
    await expect(settlement.open('ab'.repeat(32), parties, 5n)).rejects.toMatchObject({
      code: 'PAYMENT_FUNDS',
    });
    await node.mint(token, deployer, poor, 10n);
    await expect(settlement.open('ab'.repeat(32), parties, 5n)).rejects.toMatchObject({
      code: 'PAYMENT_FUNDS',
    });
    expect(await settlement.funds()).toMatchObject({ balance: 10n, gas: 0n });
    await expect(settlement.topUp('cd'.repeat(32), 5n)).rejects.toMatchObject({
      code: 'PAYMENT_CHANNEL',
    });
  });

  it('pays in the coin of the chain, too', async () => {
    const [renter, farmer] = [Identity.generate(), Identity.generate()];
    for (const identity of [renter, farmer]) await node.fund(identity);
    pair = await Pair.start({
      renter,
      farmer,
      payerSettlement: await settlementOf(renter, 'native'),
      payeeSettlement: await settlementOf(farmer, 'native'),
      limits: { deposit: 10n ** 18n },
    });
    const price = (10n ** 18n).toString();
    const shard = await pair.store({ egressPrice: price, storagePrice: price });
    await pair.transfer(shard, 'download', 1_000_000);
    await pay(pair);
    const [address] = [evmAddressOf(toHex(farmer.publicKey)) as `0x${string}`];
    const { reader } = node.clients(deployer);
    const before = await reader.getBalance({ address });
    expect((await pair.payee.collect()).redeemed).toBe(10n ** 15n);
    // A part of it went for the transaction.
    const after = await reader.getBalance({ address });
    expect(after).toBeGreaterThan(before);
    expect(after).toBeLessThanOrEqual(before + 10n ** 15n);
  });
});

describe('a cheating renter', () => {
  it('gains nothing by closing with an old voucher: the last one counts within the challenge', async () => {
    const one = await start();
    const shard = await one.store();
    await one.transfer(shard, 'download', 300_000);
    await pay(one);
    const old = theChannel(one).voucher!;
    await one.transfer(shard, 'download', 500_000);
    await pay(one);
    const settlement = await settlementOf(one.renter);
    // It hands in its old voucher itself, asks for the rest, and waits.
    await settlement.redeem(old.channel, old);
    await settlement.requestClose(old.channel);
    await node.pass((2 * DAY) / 1000);
    await expect(settlement.withdraw(old.channel)).rejects.toThrow(/challenge period is not over/);
    // The farmer looks at its channels more often than the challenge is long.
    await one.payee.collect();
    expect(await balanceOf(one.farmer)).toBe(800n);
    await node.pass((2 * DAY) / 1000);
    await settlement.withdraw(old.channel);
    expect(await balanceOf(one.renter)).toBe(1_000_000n - 800n);
    await one.payee.collect();
    // It is not believed any more in a channel that is closed.
    const voucher = signVoucher(one.renter, settlement.domain, old.channel, 900n);
    const request = payRequest(one.currency, settlement.describe(old.channel), voucher);
    await expect(
      one.payee.answerPay(request, { sender: one.renterParty as never }),
    ).rejects.toThrow(/closed/);
  });

  it('gains nothing by one deposit for two channels, by promising more than there is, by a channel of its own terms', async () => {
    const one = await start();
    const other = Identity.generate();
    const settlement = await settlementOf(one.renter);
    const parties = { payer: one.renterParty, payee: one.farmerParty, currency: one.currency };
    const sender = { sender: one.renterParty as never };
    const send = (id: string, amount: bigint, by: Settlement = settlement) =>
      one.payee.answerPay(
        payRequest(one.currency, by.describe(id), signVoucher(one.renter, by.domain, id, amount)),
        sender,
      );
    // A channel to somebody else is none to this farmer.
    const party = { nodeId: other.nodeId, publicKey: toHex(other.publicKey) };
    const elsewhere = { ...parties, payee: party };
    await settlement.open('01'.repeat(32), elsewhere, 500n);
    await node.mine(CONFIRMATIONS);
    await expect(send(settlement.channelId(elsewhere, '01'.repeat(32)), 10n)).rejects.toThrow(
      /no channel/,
    );
    // A deposit that is not confirmed may still go away: nothing is good against it yet.
    const salt = '02'.repeat(32);
    const id = settlement.channelId(parties, salt);
    await expect(send(id, 10n)).rejects.toThrow(/no channel/);
    await settlement.open(salt, parties, 500n);
    await expect(send(id, 10n)).rejects.toMatchObject({ code: 'PAYMENT_DEPOSIT' });
    await node.mine(CONFIRMATIONS);
    await send(id, 500n);
    await expect(send(id, 501n)).rejects.toMatchObject({ code: 'PAYMENT_DEPOSIT' });
    expect(one.sums().held).toBe(500n);
    // A challenge period that leaves the farmer no time.
    const hasty = await evmSettlement({
      rpcUrl: node.url,
      contract,
      token,
      identity: one.renter,
      challengeMs: 1000,
      pollMs: 20,
    });
    const careful = await Pair.start({
      renter: one.renter,
      farmer: one.farmer,
      payerSettlement: hasty,
      payeeSettlement: await settlementOf(one.farmer),
    });
    const strict = Object.assign(careful.payee, {});
    (strict as unknown as { parts: { minChallengeMs: number } }).parts.minChallengeMs = 2 * DAY;
    await hasty.open('03'.repeat(32), parties, 500n);
    await node.mine(CONFIRMATIONS);
    const short = hasty.channelId(parties, '03'.repeat(32));
    const voucher = signVoucher(one.renter, hasty.domain, short, 10n);
    await expect(
      strict.answerPay(payRequest(one.currency, hasty.describe(short), voucher), sender),
    ).rejects.toThrow(/challenge period/);
    await careful.stop();
  });
});

describe('a cheating farmer', () => {
  it('gains nothing by redeeming twice, by a forged voucher, or by one for another channel', async () => {
    const one = await start();
    const shard = await one.store();
    await one.transfer(shard, 'download', 300_000);
    await pay(one);
    const { voucher } = theChannel(one);
    const settlement = await settlementOf(one.farmer);
    await settlement.redeem(voucher!.channel, voucher!);
    await settlement.redeem(voucher!.channel, voucher!);
    expect(await balanceOf(one.farmer)).toBe(300n);
    const forged = { ...voucher!, amount: '900' };
    await expect(settlement.redeem(voucher!.channel, forged)).rejects.toThrow(/BadVoucher/);
    const own = signVoucher(one.farmer, settlement.domain, voucher!.channel, 900n);
    await expect(settlement.redeem(voucher!.channel, own)).rejects.toThrow(/BadVoucher/);
    await expect(settlement.requestClose(voucher!.channel)).rejects.toThrow(/NotYours/);
    expect(await balanceOf(one.farmer)).toBe(300n);
  });
});

describe('a chain that misbehaves', () => {
  it('reorganises: deposits and payments that went away are made again, none twice', async () => {
    const one = await start();
    const before = await held();
    const shard = await one.store();
    await one.transfer(shard, 'download', 600_000);
    const snapshot = await node.rpc('evm_snapshot');
    await expect(one.settle()).rejects.toThrow(/good for/);
    expect(await held()).toBe(before + 1000n);
    // The block with the deposit is gone before it was confirmed.
    await node.rpc('evm_revert', [snapshot]);
    expect(await held()).toBe(before);
    // The renter finds that out when the farmer refuses its voucher, and makes the deposit again.
    await expect(one.settle()).rejects.toThrow(/no channel/);
    expect(await held()).toBe(before + 1000n);
    await node.mine(CONFIRMATIONS);
    await one.settle();
    expect(one.sums()).toEqual({ promised: 600n, held: 600n, claimed: 600n });
    expect(one.payer.book.channelsWith(one.farmer.nodeId, one.currency)).toHaveLength(1);
    // A payment that goes away is made again.
    const second = await node.rpc('evm_snapshot');
    expect((await one.payee.collect()).redeemed).toBe(600n);
    await node.rpc('evm_revert', [second]);
    expect(await balanceOf(one.farmer)).toBe(0n);
    expect((await one.payee.collect()).redeemed).toBe(600n);
    expect((await one.payee.collect()).redeemed).toBe(0n);
    expect(await balanceOf(one.farmer)).toBe(600n);
  });

  it('is down for a day: credit goes on as far as it is known to be good, then everything catches up', async () => {
    const one = await start();
    const shard = await one.store();
    const hash = contractHash(shard.terms);
    const read = (bytes: number) => one.payee.admitDownload(one.renter.nodeId, hash, bytes)();
    await one.transfer(shard, 'download', 300_000);
    await pay(one);
    const state = await node.rpc('anvil_dumpState');
    const { timestamp } = (await node.rpc('eth_getBlockByNumber', ['latest', false])) as {
      timestamp: string;
    };
    await node.stop();
    // Within the deposit that is known vouchers are still taken, though the chain can't be asked.
    await one.transfer(shard, 'download', 400_000);
    await one.settle();
    expect(one.sums().held).toBe(700n);
    one.clock.time += DAY;
    await one.audit();
    await expect(one.settle()).rejects.toMatchObject({ code: 'PAYMENT_CHAIN_UNREACHABLE' });
    expect((await one.payee.collect()).failures[0]).toMatch(/does not answer/);
    // What it owes now is on credit, up to the limit.
    read(60_000);
    expect(() => read(70_000)).toThrow(/pay first/);
    await node.up();
    await node.rpc('anvil_loadState', [state]);
    await node.rpc('evm_setNextBlockTimestamp', [Number(timestamp) + DAY / 1000]);
    await node.mine(CONFIRMATIONS + 1);
    await pay(one);
    const { promised, held: has, claimed } = one.sums();
    expect({ promised, has }).toEqual({ promised: claimed, has: claimed });
    await one.payee.collect();
    expect(await balanceOf(one.farmer)).toBe(claimed);
    read(99_000);
  });
});

/** What fails once, at the n-th step: before it is done, or after it was done. */
class Kill {
  private count = 0;
  killed = false;
  constructor(
    private readonly at: number,
    private readonly when: 'before' | 'after',
  ) {}

  async step<T>(work: () => Promise<T>): Promise<T> {
    this.count += 1;
    const hit = this.count === this.at;
    if (hit) this.killed = true;
    if (hit && this.when === 'before') throw new Error('killed');
    const result = await work();
    if (hit) throw new Error('killed');
    return result;
  }

  settlement(inner: Settlement): Settlement {
    return new Proxy(inner, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        const bound = (value as (...args: unknown[]) => unknown).bind(target);
        const steps = ['open', 'topUp', 'redeem', 'requestClose', 'withdraw', 'look'];
        if (!steps.includes(String(key))) return bound;
        return (...args: unknown[]) => this.step(() => bound(...args) as Promise<unknown>);
      },
    });
  }

  rows(inner: Rows): Rows {
    return {
      get: (key) => inner.get(key),
      range: (prefix, from) => inner.range(prefix, from),
      close: () => inner.close(),
      transaction: <T>(work: (writer: RowWriter) => T) => this.step(() => inner.transaction(work)),
    };
  }
}

it('loses no money whichever step of open, pay, top up, redeem and close a crash comes at', async () => {
  let at = 1;
  for (; ; at += 1) {
    const when = at % 2 === 0 ? 'before' : 'after';
    let kill: Kill | undefined;
    const wrap = (settlement: Settlement): Settlement =>
      new Proxy(settlement, {
        get: (target, key) => {
          const source = kill === undefined ? target : kill.settlement(target);
          const value: unknown = Reflect.get(source, key, source);
          return typeof value === 'function' ? (value as () => void).bind(source) : value;
        },
      });
    const one = await start(wrap);
    const before = await held();
    const shard = await one.store();
    const reopen = async () => {
      await one.payer.close();
      await one.payee.close();
      one.wrapPayer = one.wrapPayee = (rows) => kill?.rows(rows) ?? rows;
      one.openPayer();
      one.openPayee();
    };
    const life = async () => {
      const settlement = wrap(await settlementOf(one.renter));
      await pay(one);
      await one.payee.collect();
      const channel = theChannel(one);
      if (channel.state === 'closed') return;
      await one.payer.requestClose(channel, settlement);
      await node.pass((3 * DAY) / 1000 + 1);
      await one.payee.collect();
      await one.payer.withdraw(theChannel(one), settlement);
    };
    await one.transfer(shard, 'download', 900_000);
    await pay(one);
    await one.transfer(shard, 'download', 900_000);
    const plan = new Kill(Math.ceil(at / 2), when);
    kill = plan;
    await reopen();
    await life().catch((error: unknown) => {
      if (!(error instanceof Error) || error.message !== 'killed') throw error;
    });
    kill = undefined;
    await reopen();
    if (theChannel(one).state === 'open') await pay(one);
    await life().catch((error: unknown) => {
      // What was asked for before the crash may not be asked for again; only the time is to pass.
      if (!/good for/.test(String(error))) throw error;
    });
    const { claimed } = one.sums();
    const rest = await balanceOf(one.renter);
    expect({ at, farmer: await balanceOf(one.farmer), all: claimed }).toEqual({
      at,
      farmer: 1800n,
      all: 1800n,
    });
    expect(rest).toBe(1_000_000n - 1800n);
    expect(await held()).toBe(before);
    await one.stop();
    pair = undefined;
    if (!plan.killed) break;
  }
  expect(at).toBeGreaterThan(20);
}, 180_000);
