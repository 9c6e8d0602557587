import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Abi, type Hex, encodeFunctionData } from 'viem';
import { Identity } from '@granary/kad';
import { evmAddressOf, signVoucher, toHex } from '@granary/protocol';
import { EvmNode } from './evm-node.test-support.js';
import { deployChannelsContract } from './index.js';
import { granaryChannels } from './generated/contracts.js';
import { hostile as hostileContract } from './generated/contracts.test-support.js';

const NATIVE = `0x${'0'.repeat(40)}` as Hex;
const abi = granaryChannels.abi as Abi;
const hostileAbi = hostileContract.abi as Abi;
const addressOf = (identity: Identity) => evmAddressOf(toHex(identity.publicKey)) as Hex;

let node: EvmNode;
let contract: Hex;
let token: Hex;
const [alice, bob, carol] = [Identity.generate(), Identity.generate(), Identity.generate()];
let salts = 0;

interface OnChain {
  payer: Hex;
  payee: Hex;
  deposit: bigint;
  redeemed: bigint;
  closed: boolean;
  closesAt: number;
}

async function send(
  by: Identity,
  name: string,
  args: readonly unknown[],
  value = 0n,
  address = contract,
  withAbi = abi,
): Promise<bigint> {
  const { wallet, reader, account } = node.clients(by);
  const { request } = await reader.simulateContract({
    account,
    address,
    abi: withAbi,
    functionName: name,
    args,
    value,
  });
  const hash = await wallet.writeContract(request);
  const receipt = await reader.waitForTransactionReceipt({ hash });
  if (receipt.status !== 'success') throw new Error('reverted');
  return receipt.gasUsed;
}

const read = async (name: string, args: readonly unknown[] = []) =>
  node.clients(alice).reader.readContract({ address: contract, abi, functionName: name, args });
const channelOf = async (id: Hex) => (await read('channel', [id])) as OnChain;
const idOf = (payer: Hex, payee: Hex, of: Hex, salt: Hex) =>
  read('channelId', [payer, payee, of, salt]) as Promise<Hex>;
const newSalt = () => `0x${(salts += 1).toString(16).padStart(64, '0')}` as Hex;
const domain = () => ({ chainId: 31337, contract: contract as string });
const voucherArgs = (by: Identity, id: Hex, amount: bigint, on = domain()) => {
  const { signature } = signVoucher(by, on, id.slice(2), amount);
  return [id, amount, `0x${signature.slice(0, 64)}`, `0x${signature.slice(64)}`] as const;
};
const balance = (address: Hex) => node.clients(alice).reader.getBalance({ address });
const tokens = (of: Hex) => node.tokenBalance(token, of);

async function open(payee: Hex, of: Hex, deposit: bigint, challenge = 3600): Promise<Hex> {
  const salt = newSalt();
  const id = await idOf(addressOf(alice), payee, of, salt);
  await send(alice, 'open', [payee, of, salt, challenge, deposit], of === NATIVE ? deposit : 0n);
  return id;
}

beforeAll(async () => {
  node = await EvmNode.start();
  for (const identity of [alice, bob, carol]) await node.fund(identity);
  contract = (await deployChannelsContract(node.url, alice, { pollMs: 20 })) as Hex;
  token = await node.token(alice);
  await node.mint(token, alice, alice, 10n ** 30n);
  const { wallet, reader } = node.clients(alice);
  const approve = {
    address: token,
    functionName: 'approve',
    args: [contract, 10n ** 30n],
  } as const;
  const approveAbi = [
    {
      type: 'function',
      name: 'approve',
      stateMutability: 'nonpayable',
      inputs: [{ type: 'address' }, { type: 'uint256' }],
      outputs: [{ type: 'bool' }],
    },
  ] as const;
  const hash = await wallet.writeContract({ ...approve, abi: approveAbi });
  await reader.waitForTransactionReceipt({ hash });
}, 120_000);
afterAll(() => node.stop());

describe.each(['coin', 'token'])('GranaryChannels with the %s', (kind) => {
  const unit = () => (kind === 'coin' ? NATIVE : token);
  const held = (address: Hex) => (kind === 'coin' ? balance(address) : tokens(address));

  it('pays vouchers, each sum once, up to the deposit, and gives the rest back', async () => {
    const payee = addressOf(Identity.generate());
    const id = await open(payee, unit(), 1000n);
    await send(carol, 'redeem', voucherArgs(alice, id, 300n));
    expect(await held(payee)).toBe(300n);
    // The same again, and an older one: nothing.
    await expect(send(carol, 'redeem', voucherArgs(alice, id, 300n))).rejects.toThrow(/BadVoucher/);
    await expect(send(carol, 'redeem', voucherArgs(alice, id, 200n))).rejects.toThrow(/BadVoucher/);
    await send(carol, 'redeem', voucherArgs(alice, id, 5000n));
    expect(await held(payee)).toBe(1000n);
    await send(alice, 'topUp', [id, 1000n, 1500n], kind === 'coin' ? 500n : 0n);
    await send(carol, 'redeem', voucherArgs(alice, id, 1200n));
    expect(await held(payee)).toBe(1200n);
    await send(alice, 'requestClose', [id]);
    await expect(send(alice, 'withdraw', [id])).rejects.toThrow(/TooEarly/);
    // Within the challenge period a newer voucher still counts.
    await send(carol, 'redeem', voucherArgs(alice, id, 1250n));
    await node.pass(3601);
    const before = await held(contract);
    await send(carol, 'withdraw', [id]);
    expect(before - (await held(contract))).toBe(250n);
    expect(await channelOf(id)).toMatchObject({ closed: true, redeemed: 1250n, deposit: 1500n });
    for (const [name, args] of [
      ['withdraw', [id]],
      ['redeem', voucherArgs(alice, id, 1500n)],
      ['topUp', [id, 1500n, 1600n]],
    ] as const) {
      await expect(send(alice, name, args)).rejects.toThrow(/NotOpen/);
    }
  });

  it('takes exactly what it is told to, and nothing twice', async () => {
    const payee = addressOf(bob);
    const salt = newSalt();
    const value = kind === 'coin' ? 10n : 0n;
    await send(alice, 'open', [payee, unit(), salt, 60, 10n], value);
    const id = await idOf(addressOf(alice), payee, unit(), salt);
    await expect(send(alice, 'open', [payee, unit(), salt, 60, 10n], value)).rejects.toThrow(
      /Exists/,
    );
    await expect(
      send(alice, 'open', [payee, unit(), newSalt(), 60, 10n], value + 1n),
    ).rejects.toThrow(/BadDeposit/);
    await expect(send(alice, 'topUp', [id, 9n, 20n], value)).rejects.toThrow(/BadDeposit/);
    await send(alice, 'topUp', [id, 10n, 20n], value);
    await expect(send(alice, 'topUp', [id, 10n, 20n], value)).rejects.toThrow(/BadDeposit/);
    await expect(send(alice, 'topUp', [id, 20n, 20n], 0n)).rejects.toThrow(/BadDeposit/);
    // What anybody pays in by redeeming with coins is refused: it would be lost.
    await expect(send(alice, 'redeem', voucherArgs(alice, id, 1n), 5n)).rejects.toThrow();
  });

  it('heeds nobody but the two sides', async () => {
    const id = await open(addressOf(bob), unit(), 100n);
    for (const [by, name] of [
      [carol, 'requestClose'],
      [bob, 'requestClose'],
      [carol, 'release'],
      [alice, 'release'],
    ] as const) {
      await expect(send(by, name, [id])).rejects.toThrow(/NotYours/);
    }
    for (const args of [
      voucherArgs(bob, id, 50n),
      voucherArgs(carol, id, 50n),
      voucherArgs(alice, id, 50n, { ...domain(), chainId: 1 }),
      voucherArgs(alice, id, 50n, { ...domain(), contract: addressOf(bob) }),
      [id, 50n, `0x${'00'.repeat(32)}`, `0x${'00'.repeat(32)}`],
      [id, 50n, `0x${'ff'.repeat(32)}`, `0x${'ff'.repeat(32)}`],
    ]) {
      await expect(send(bob, 'redeem', args)).rejects.toThrow(/BadVoucher/);
    }
    await send(bob, 'release', [id]);
    await send(carol, 'withdraw', [id]);
    expect((await channelOf(id)).closed).toBe(true);
  });
});

describe('GranaryChannels against hostile contracts', () => {
  const deployHostile = async () => {
    const { wallet, reader } = node.clients(bob);
    const hash = await wallet.deployContract({
      abi: hostileAbi,
      bytecode: hostileContract.bytecode,
      args: [contract],
    });
    return (await reader.waitForTransactionReceipt({ hash })).contractAddress as Hex;
  };
  const call = (name: string, args: readonly unknown[]) =>
    encodeFunctionData({ abi, functionName: name, args });

  it('is not entered twice: not by who is paid, and not by who gets the rest', async () => {
    const hostile = await deployHostile();
    const id = await open(hostile, NATIVE, 1000n);
    const payload = call('redeem', voucherArgs(alice, id, 900n));
    await send(bob, 'arm', [payload], 0n, hostile, hostileAbi);
    await send(bob, 'redeem', voucherArgs(alice, id, 400n));
    const reader = node.clients(bob).reader;
    const reentered = () =>
      reader.readContract({ address: hostile, abi: hostileAbi, functionName: 'reentered' });
    expect(await reentered()).toBe(false);
    expect(await balance(hostile)).toBe(400n);
    // As a payer: it opens a channel, closes it, and withdraws again while it is being paid.
    const salt = newSalt();
    const mine = await idOf(hostile, addressOf(bob), NATIVE, salt);
    const openCall = call('open', [addressOf(bob), NATIVE, salt, 0, 500n]);
    await send(bob, 'run', [openCall], 500n, hostile, hostileAbi);
    await send(bob, 'run', [call('requestClose', [mine])], 0n, hostile, hostileAbi);
    await send(bob, 'arm', [call('withdraw', [mine])], 0n, hostile, hostileAbi);
    await send(bob, 'withdraw', [mine]);
    expect(await reentered()).toBe(false);
    expect(await balance(hostile)).toBe(900n);
  });

  it('lets who refuses its money hurt only itself', async () => {
    const hostile = await deployHostile();
    const id = await open(hostile, NATIVE, 10n);
    await send(bob, 'set', [true, false, 0n], 0n, hostile, hostileAbi);
    await expect(send(bob, 'redeem', voucherArgs(alice, id, 5n))).rejects.toThrow(/TransferFailed/);
    await send(alice, 'requestClose', [id]);
    await node.pass(3601);
    await send(alice, 'withdraw', [id]);
  });

  it('refuses tokens that keep a part, lie, call back, or are none', async () => {
    const fake = await deployHostile();
    await send(bob, 'mint', [addressOf(alice), 1000n], 0n, fake, hostileAbi);
    const openWith = () => send(alice, 'open', [addressOf(bob), fake, newSalt(), 60, 100n]);
    await send(bob, 'set', [false, false, 10n], 0n, fake, hostileAbi);
    await expect(openWith()).rejects.toThrow(/BadDeposit/);
    await send(bob, 'set', [false, true, 0n], 0n, fake, hostileAbi);
    await expect(openWith()).rejects.toThrow(/TransferFailed/);
    await send(bob, 'set', [false, false, 0n], 0n, fake, hostileAbi);
    const id = await open(addressOf(bob), fake, 100n);
    await send(bob, 'arm', [call('withdraw', [id])], 0n, fake, hostileAbi);
    await send(bob, 'redeem', voucherArgs(alice, id, 60n));
    const { reader } = node.clients(bob);
    expect(
      await reader.readContract({ address: fake, abi: hostileAbi, functionName: 'reentered' }),
    ).toBe(false);
    const nobody = addressOf(Identity.generate());
    await expect(
      send(alice, 'open', [addressOf(bob), nobody, newSalt(), 60, 100n]),
    ).rejects.toThrow();
    await expect(
      send(alice, 'open', [addressOf(bob), NATIVE, newSalt(), 91 * 86_400, 0n]),
    ).rejects.toThrow(/BadTerms/);
    await expect(send(alice, 'open', [NATIVE, NATIVE, newSalt(), 60, 0n])).rejects.toThrow(
      /BadTerms/,
    );
  });
});

describe('GranaryChannels under random use', () => {
  // What the contract should do, in a few lines. Whatever is sent to it, it does the same.
  interface Model {
    deposit: bigint;
    redeemed: bigint;
    closesAt: number;
    closed: boolean;
  }
  const operation = fc.oneof(
    fc.record({
      kind: fc.constant('topUp' as const),
      by: fc.nat(2),
      channel: fc.nat(1),
      amount: fc.bigInt(0n, 500n),
    }),
    fc.record({
      kind: fc.constant('redeem' as const),
      by: fc.nat(2),
      channel: fc.nat(1),
      amount: fc.bigInt(0n, 2000n),
      signer: fc.nat(5),
    }),
    fc.record({ kind: fc.constant('requestClose' as const), by: fc.nat(2), channel: fc.nat(1) }),
    fc.record({ kind: fc.constant('release' as const), by: fc.nat(2), channel: fc.nat(1) }),
    fc.record({ kind: fc.constant('withdraw' as const), by: fc.nat(2), channel: fc.nat(1) }),
    fc.record({ kind: fc.constant('pass' as const), seconds: fc.integer({ min: 1, max: 80 }) }),
  );
  const people = [alice, bob, carol];

  it('keeps what is in it, and does what the model does', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { minLength: 5, maxLength: 22 }),
        fc.array(fc.bigInt(1n, 1000n), { minLength: 2, maxLength: 2 }),
        async (operations, deposits) => {
          const ids: Hex[] = [];
          const models: Model[] = [];
          const payee = addressOf(bob);
          const before = await balance(contract);
          for (const deposit of deposits) {
            ids.push(await open(payee, NATIVE, deposit, 100));
            models.push({ deposit, redeemed: 0n, closesAt: 0, closed: false });
          }
          const clock = async () => {
            const { timestamp } = await node.clients(alice).reader.getBlock();
            return Number(timestamp);
          };
          for (const op of operations) {
            if (op.kind === 'pass') {
              await node.pass(op.seconds);
              continue;
            }
            const by = people[op.by]!;
            const id = ids[op.channel]!;
            const model = models[op.channel]!;
            const next = { ...model };
            let allowed = !model.closed;
            let args: readonly unknown[] = [id];
            let value = 0n;
            if (op.kind === 'topUp') {
              args = [id, model.deposit, model.deposit + op.amount];
              value = op.amount;
              allowed &&= op.amount > 0n;
              next.deposit += op.amount;
            } else if (op.kind === 'redeem') {
              const signer = op.signer < 4 ? alice : people[op.signer - 3]!;
              args = voucherArgs(signer, id, op.amount);
              const sum = op.amount < model.deposit ? op.amount : model.deposit;
              allowed &&= signer === alice && sum > model.redeemed;
              next.redeemed = sum;
            } else if (op.kind === 'requestClose') {
              allowed &&= by === alice && model.closesAt === 0;
              next.closesAt = -100;
            } else if (op.kind === 'release') {
              allowed &&= by === bob;
              next.closesAt = -1;
            } else {
              // The next block's time is at least that of the last one.
              allowed &&= model.closesAt !== 0 && (await clock()) >= model.closesAt;
              next.closed = true;
            }
            let done = true;
            try {
              await send(by, op.kind, args, value);
            } catch (error) {
              if (!/reverted|BadVoucher|NotOpen|NotYours|TooEarly|BadDeposit/.test(String(error)))
                throw error;
              done = false;
            }
            if (op.kind === 'withdraw' && done && !allowed) {
              // The clock ticked over the edge between our look and the block.
              expect((await clock()) >= model.closesAt && model.closesAt !== 0).toBe(true);
              allowed = true;
            }
            expect([op, done]).toEqual([op, allowed]);
            if (done) {
              if (next.closesAt < 0) {
                next.closesAt = (await clock()) + (next.closesAt === -100 ? 100 : 0);
              }
              models[op.channel] = next;
            }
            let inside = 0n;
            for (const [i, one] of models.entries()) {
              const real = await channelOf(ids[i]!);
              expect(real).toMatchObject({
                deposit: one.deposit,
                redeemed: one.redeemed,
                closed: one.closed,
                closesAt: one.closesAt,
              });
              expect(real.redeemed <= real.deposit).toBe(true);
              if (!one.closed) inside += one.deposit - one.redeemed;
            }
            // Not a unit more or less than its open channels hold.
            expect((await balance(contract)) - before).toBe(inside);
          }
        },
      ),
      { numRuns: 20 },
    );
  });
});
