import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { Identity, systemRandom } from '@granary/kad';
import {
  type Contract,
  LEDGER_DOMAIN,
  contractHash,
  parseStatement,
  payRequest,
  signReceipt,
  signReceiptBody,
  signVoucher,
  toHex,
} from '@granary/protocol';
import { type RowWriter, type Rows, daysAsCsv, ledgerSettlement, summarise } from './index.js';
import { Pair, type PairOptions } from './pair.test-support.js';

const DAY = 24 * 3600 * 1000;
const ledger = ledgerSettlement('credit', 'node');
let pair: Pair;
const start = async (options: Partial<PairOptions> = {}) =>
  (pair = await Pair.start({ payerSettlement: ledger, payeeSettlement: ledger, ...options }));
afterEach(() => pair.stop());

describe('paying by ledger', () => {
  it('pays to the unit what contracts, receipts and audits come to', async () => {
    await start();
    const contract = await pair.store();
    pair.clock.time += 15 * DAY;
    // Nothing is owed before an audit.
    expect((await pair.settle()).promised).toBe(0n);
    await pair.audit();
    // A MB for half a month at a million for a GB-month: 500; and 250 kB out: 250.
    await pair.transfer(contract, 'download', 250_000);
    const result = await pair.settle();
    expect(result).toMatchObject({ promised: 750n, paid: 750n, disputed: 0n });
    expect(pair.sums()).toEqual({ promised: 750n, held: 750n, claimed: 750n });
    expect((await pair.settle()).paid).toBe(0n);
    // It is deleted: what was not audited is not paid, and nothing accrues any more.
    pair.clock.time += DAY;
    await pair.transfer(contract, 'delete', 0);
    pair.clock.time += 15 * DAY;
    await pair.audit();
    expect((await pair.settle()).paid).toBe(0n);
  });

  it('agrees after any order of audits, reads, lost messages and crashes, and conserves', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(10 * DAY) }),
      fc.record({ kind: fc.constant('audit' as const), heard: fc.boolean() }),
      fc.record({
        kind: fc.constant('read' as const),
        bytes: fc.nat(1_000_000),
        heard: fc.boolean(),
      }),
      fc.record({
        kind: fc.constant('store' as const),
        size: fc.nat(5_000_000),
        heard: fc.boolean(),
      }),
      fc.record({
        kind: fc.constant('pay' as const),
        lose: fc.constantFrom('nothing', 'before', 'after'),
      }),
      fc.record({ kind: fc.constant('restart' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        await start({ creditLimit: 0n });
        try {
          const contract = await pair.store({ egressPrice: '1234567', storagePrice: '7654321' });
          for (const one of steps) {
            if (one.kind === 'wait') pair.clock.time += one.ms;
            else if (one.kind === 'audit') await pair.audit(one.heard);
            else if (one.kind === 'read') {
              await pair.transfer(contract, 'download', one.bytes, one.heard);
            } else if (one.kind === 'store') {
              await pair.store({ shardSize: one.size }, one.heard);
            } else if (one.kind === 'restart') {
              await pair.payer.close();
              await pair.payee.close();
              pair.openPayer();
              pair.openPayee();
            } else {
              pair.onCall = (_method, when) => {
                if (when === one.lose) throw new Error('lost');
              };
              await pair.settle().catch(() => undefined);
              pair.onCall = () => undefined;
            }
            const { promised, held, claimed } = pair.sums();
            // Never more than is claimed, and the farmer never has what was not promised.
            expect(promised <= claimed).toBe(true);
            expect(held <= promised).toBe(true);
          }
          await pair.audit();
          await pair.settle();
          await pair.settle();
          const { promised, held, claimed } = pair.sums();
          expect({ promised, held }).toEqual({ promised: claimed, held: claimed });
          // The sum of an account is the sum of its positions, to the fine part.
          const account = pair.payee.book.account(pair.renter.nodeId, 'credit')!;
          let [storage, egress] = [0n, 0n];
          for (const position of pair.payee.book.positions(pair.renter.nodeId)) {
            storage += position.storage;
            egress += position.egress;
          }
          expect([account.storage, account.egress]).toEqual([storage, egress]);
          const days = [...pair.payee.book.days()].reduce((sum, row) => sum + row.storage, 0n);
          expect(days).toBe(storage);
        } finally {
          await pair.stop();
        }
      }),
      { numRuns: 25 },
    );
    await start();
  });

  it('gives credit up to its limit, stops, and starts again when it is paid', async () => {
    await start({ creditLimit: 300n });
    const contract = await pair.store();
    const hash = contractHash(contract.terms);
    const read = (bytes: number) => pair.payee.admitDownload(pair.renter.nodeId, hash, bytes)();
    read(300_000);
    expect(() => read(300_001)).toThrow(/pay first/);
    // What is being served counts, too.
    const done = pair.payee.admitDownload(pair.renter.nodeId, hash, 200_000);
    expect(() => read(100_001)).toThrow(/pay first/);
    done();
    done();
    read(300_000);
    await pair.transfer(contract, 'download', 300_000);
    expect(() => read(1)).toThrow(expect.objectContaining({ code: 'PAYMENT_UNPAID' }) as Error);
    await pair.settle();
    read(300_000);
    // Unaudited storage counts, too: who never audits is not served for ever.
    pair.clock.time += 15 * DAY;
    expect(() => read(0)).toThrow(/audit/);
    expect(() => pair.payee.checkUpload(contract.terms)).toThrow(/audit/);
    await pair.audit();
    await pair.settle();
    read(299_000);
    // What was sent and not signed for counts, for a day.
    const token = toHex(systemRandom(16));
    const body = { contract: hash, direction: 'download' as const, token, time: pair.clock.now() };
    await pair.payee.brokeOff(pair.renter.nodeId, { ...body, bytes: 200_000 });
    read(99_000);
    expect(() => read(100_001)).toThrow(/pay first/);
    // The renter got half of it, and signs for that.
    await pair.payer.brokeOff(pair.farmer.nodeId, { ...body, bytes: 100_000 });
    expect((await pair.settle()).paid).toBe(100n);
    read(299_000);
    await pair.payee.brokeOff(pair.renter.nodeId, {
      ...body,
      token: toHex(systemRandom(16)),
      bytes: 300_000,
    });
    expect(() => read(1000)).toThrow(/pay first/);
    pair.clock.time += DAY + 1000;
    await pair.payee.book.sweep();
    await pair.audit();
    await pair.settle();
    read(299_000);
  });

  it('pays ahead within its limit, when a farmer gives no credit', async () => {
    await start({ creditLimit: 0n, limits: { advance: 50n } });
    const contract = await pair.store();
    const read = (bytes: number) =>
      pair.payee.admitDownload(pair.renter.nodeId, contractHash(contract.terms), bytes)();
    expect(() => read(50_000)).toThrow(/pay first/);
    expect((await pair.settle(1_000n)).paid).toBe(50n);
    read(50_000);
    expect(() => read(50_001)).toThrow(/pay first/);
  });

  it('pays no more than its budget, and nothing for what it did not get', async () => {
    await start({ limits: { budget: 100n, trust: 20n } });
    const contract = await pair.store();
    await pair.transfer(contract, 'download', 80_000);
    expect((await pair.settle()).paid).toBe(80n);
    await pair.transfer(contract, 'download', 80_000);
    expect((await pair.settle()).paid).toBe(20n);
    expect(pair.payer.budgetLeft('credit')).toBe(0n);
    pair.clock.time += 31 * DAY;
    expect((await pair.settle()).paid).toBe(60n);
    // A failed audit: the farmer goes on to claim, and is not paid.
    await pair.payer.failed(pair.farmer.nodeId, contractHash(contract.terms));
    await pair.payee.audited(pair.renter.nodeId, pair.clock.now());
    const result = await pair.settle();
    expect(result.paid).toBe(0n);
    expect(result.disputed).toBe(1033n);
  });

  it('accepts small differences on the word of a farmer, and no large ones', async () => {
    await start({ limits: { trust: 20n } });
    const contract = await pair.store();
    const claimMore = async (bytes: number) => {
      // The farmer writes down what nobody has signed; a dishonest one could.
      const token = toHex(systemRandom(16));
      const body = {
        contract: contractHash(contract.terms),
        direction: 'download' as const,
        bytes,
        token,
        time: pair.clock.now(),
      };
      await pair.payee.book.addReceipt(pair.renter.nodeId, body);
    };
    await claimMore(15_000);
    expect((await pair.settle()).paid).toBe(15n);
    await claimMore(15_000);
    expect(await pair.settle()).toMatchObject({ paid: 0n, disputed: 15n });
  });

  it('lets a renter that lost its book go on, and pay nothing twice', async () => {
    await start();
    const contract = await pair.store();
    pair.clock.time += 10 * DAY;
    await pair.audit();
    await pair.transfer(contract, 'download', 400_000);
    const { promised } = await pair.settle();
    expect(promised).toBe(733n);
    await pair.payer.close();
    pair.openPayer('lost.lmdb');
    expect((await pair.settle()).promised).toBe(733n);
    pair.clock.time += 20 * DAY;
    await pair.audit();
    const after = await pair.settle();
    expect(after).toMatchObject({ promised: 1400n, disputed: 0n });
  });

  it('has statements that both have signed, and a book as CSV', async () => {
    await start();
    const contract = await pair.store();
    await pair.transfer(contract, 'download', 400_000);
    await pair.settle();
    const { signal } = new AbortController();
    await expect(pair.payee.received(pair.renter.nodeId, 'credit', 500n)).rejects.toThrow(
      /too much/,
    );
    await pair.payee.received(pair.renter.nodeId, 'credit', 150n);
    const statement = await pair.payer.statement(pair.farmerParty, 'credit', signal);
    const keys = {
      renterKey: toHex(pair.renter.publicKey),
      farmerKey: toHex(pair.farmer.publicKey),
    };
    expect(parseStatement(statement, keys).body).toMatchObject({ promised: '400', settled: '150' });
    const changed = { ...statement, body: { ...statement.body, settled: '400' } };
    expect(() => parseStatement(changed, keys)).toThrow(/signature/);
    expect([...pair.payer.book.statements()]).toEqual([statement]);
    expect([...pair.payee.book.statements()]).toEqual([statement]);
    const [summary] = summarise(pair.payer.book, pair.clock.now());
    expect(summary).toMatchObject({
      owed: '400',
      promised: '400',
      settled: '150',
      unpaid: '0',
      contracts: 1,
      expected: '1000',
    });
    expect([...daysAsCsv(pair.payer.book)]).toEqual([
      'day,peer,currency,storage,egress,tunnel,promised,settled\r\n',
      `2030-01-01,${pair.farmer.nodeId},credit,0,400,0,400,150\r\n`,
    ]);
  });

  it('reckons what is not audited on from what it once was, to the fine part', async () => {
    await start({ creditLimit: 10n ** 9n });
    const reckoned = () =>
      (
        pair.payee as unknown as { unauditedOf(renter: string, currency: string): bigint }
      ).unauditedOf(pair.renter.nodeId, 'credit');
    const exact = () => {
      const { book } = pair.payee;
      return book.unaudited(pair.renter.nodeId, 'credit', pair.clock.now()).fine;
    };
    const kept = await pair.store();
    pair.clock.time += 7_000;
    expect(reckoned()).toBe(exact());
    pair.clock.time += 11_000;
    await pair.store({ shardSize: 3_000_000, storagePrice: '77' });
    const waiting = pair.payee.stored('ab'.repeat(32), kept.terms, pair.clock.now() - 500);
    pair.clock.time += 13_000;
    const before = reckoned();
    expect(before).toBeGreaterThan(exact());
    await Promise.all([pair.payee.flush(), waiting]);
    expect(reckoned()).toBe(before);
    expect(exact()).toBe(before);
    await pair.payee.ended(pair.renter.nodeId, 'ab'.repeat(32), 'failed');
    expect(reckoned()).toBe(exact());
    await pair.audit();
    expect(reckoned()).toBe(0n);
    pair.clock.time += 59_000;
    expect(reckoned()).toBe(exact());
    expect(exact()).toBeGreaterThan(0n);
  });
});

describe('lies', () => {
  const pay = (params: unknown, from = pair.renterParty) =>
    pair.payee.answerPay(params, { sender: from as never });

  it('of a renter: forged, foreign and old vouchers are worth nothing', async () => {
    await start();
    const contract = await pair.store();
    await pair.transfer(contract, 'download', 400_000);
    await pair.settle();
    const [channel] = pair.payer.book.channelsWith(pair.farmer.nodeId, 'credit');
    const { id, descriptor, voucher } = channel!;
    const other = Identity.generate();
    const forged = signVoucher(other, LEDGER_DOMAIN, id, 10n ** 9n);
    await expect(pay(payRequest('credit', descriptor, forged))).rejects.toThrow(/signature/);
    const chain = { chainId: 1, contract: `0x${'11'.repeat(20)}` };
    const elsewhere = signVoucher(pair.renter, chain, id, 10n ** 9n);
    await expect(pay(payRequest('credit', descriptor, elsewhere))).rejects.toThrow(/signature/);
    await expect(pay(payRequest('gold', descriptor, voucher!))).rejects.toThrow(/paid in credit/);
    await expect(pay({ currency: 'credit' })).rejects.toThrow(/payment/);
    const wrong = payRequest('credit', 'ledger:elsewhere', voucher!);
    await expect(pay(wrong)).rejects.toThrow(/not paid through/);
    // An older one changes nothing.
    await pay(payRequest('credit', descriptor, signVoucher(pair.renter, LEDGER_DOMAIN, id, 5n)));
    expect(pair.sums().held).toBe(400n);
    // It signs for fewer bytes than it is sent: the rest counts against its credit, but not for ever.
    const body = {
      contract: contractHash(contract.terms),
      direction: 'download' as const,
      bytes: 10,
      token: toHex(systemRandom(16)),
      time: pair.clock.now(),
    };
    const signed = [{ body, signature: signReceiptBody(pair.renter, body) }];
    await pair.payee.answerAccount(
      { currency: 'credit', after: 0, signed },
      { sender: pair.renterParty as never },
    );
    expect(pair.sums().claimed).toBe(400n);
  });

  it('of a farmer: unsigned receipts, receipts told twice, and claims of others', async () => {
    await start();
    const contract = await pair.store();
    await pair.transfer(contract, 'download', 400_000);
    const honest = pair.payee.answerAccount.bind(pair.payee);
    const lie = (change: (answer: Awaited<ReturnType<typeof honest>>) => unknown) => {
      pair.payee.answerAccount = async (params, context) =>
        change(await honest(params, context)) as Awaited<ReturnType<typeof honest>>;
    };
    lie((answer) => {
      const [first, ...rest] = answer.receipts;
      const receipt = signReceipt(pair.farmer, {
        ...(first!.receipt as { body: Parameters<typeof signReceipt>[1] }).body,
        bytes: 10 ** 9,
      });
      return { ...answer, receipts: [{ ...first!, receipt }, ...rest] };
    });
    await expect(pair.settle()).rejects.toThrow(/signature/);
    lie((answer) => ({ ...answer, receipts: [...answer.receipts, ...answer.receipts] }));
    expect((await pair.settle()).paid).toBe(400n);
    lie((answer) => ({
      ...answer,
      claim: { ...(answer.claim as object), farmerSignature: '0'.repeat(128) },
    }));
    await expect(pair.settle()).rejects.toThrow(/signature/);
    lie((answer) => ({ ...answer, pending: [{ nonsense: true }] }));
    await expect(pair.settle()).rejects.toThrow(/receipt/);
    lie((answer) => ({ ...answer, receipts: 'all' }));
    await expect(pair.settle()).rejects.toThrow(/account answer/);
  });
});

/** Rows that fail at the n-th transaction: before it is done, or just after. */
function failing(
  rows: Rows,
  plan: { at: number; when: 'before' | 'after' },
  count: { n: number },
): Rows {
  return {
    get: (key) => rows.get(key),
    range: (prefix, from) => rows.range(prefix, from),
    close: () => rows.close(),
    transaction: async <T>(work: (writer: RowWriter) => T): Promise<T> => {
      count.n += 1;
      if (count.n === plan.at && plan.when === 'before') throw new Error('killed');
      const result = await rows.transaction(work);
      if (count.n === plan.at) throw new Error('killed');
      return result;
    },
  };
}

it('writes what came within a moment at one time, and none of it twice', async () => {
  await start();
  let transactions = 0;
  pair.wrapPayee = (rows) =>
    new Proxy(rows, {
      get: (target, name) => {
        if (name === 'transaction') transactions += 1;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  await pair.payee.close();
  pair.openPayee();
  await Promise.all(
    Array.from({ length: 50 }, (_, i) => pair.store({ shardSize: 1000 + i, egressPrice: '0' })),
  );
  expect(transactions).toBeLessThan(10);
  expect([...pair.payee.book.positions(pair.renter.nodeId)]).toHaveLength(50);
  const account = () => pair.payee.book.account(pair.renter.nodeId, 'credit')!;
  expect(account().receipts).toBe(50);
  // A book that is whole is not looked through; one that was lost is made up from what both signed.
  await pair.recover();
  await pair.payee.close();
  pair.wrapPayee = (rows) => rows;
  pair.openPayee();
  expect(await pair.recover()).toBe(0);
  await pair.payee.close();
  await rm(join(pair.directory, 'payee.lmdb'));
  pair.openPayee();
  expect(await pair.recover()).toBe(50);
  expect([...pair.payee.book.positions(pair.renter.nodeId)]).toHaveLength(50);
  expect(account().receipts).toBe(50);
  expect(await pair.recover()).toBe(0);
  expect(account().receipts).toBe(50);
  // A shard was deleted, and its end was not written down: it is not charged for any more.
  const [gone] = pair.held.keys();
  pair.held.delete(gone!);
  expect(await pair.recover()).toBe(1);
  expect(pair.payee.book.position(pair.renter.nodeId, gone!)?.ended).toBe('deleted');
});

describe('receipts that a crash kept out of the book', () => {
  const account = () => pair.payee.book.account(pair.renter.nodeId, 'credit');

  it('are counted each, however many there are of one contract, and once', async () => {
    await start();
    const contract = await pair.store();
    await pair.recover();
    for (const bytes of [10_000, 20_000, 30_000]) {
      await pair.transfer(contract, 'download', bytes, true, false);
    }
    await pair.payer.flush();
    await pair.killPayee();
    expect(account()?.receipts).toBe(1);
    const kept = [...pair.unbooked];
    expect(kept).toHaveLength(3);
    expect(await pair.recover()).toBe(3);
    expect(pair.unbooked.size).toBe(0);
    // It is killed before its store has noted that they are in the book.
    await pair.killPayee();
    for (const [token, one] of kept) pair.unbooked.set(token, one);
    expect(await pair.recover()).toBe(0);
    expect(account()?.receipts).toBe(4);
    expect(pair.sums().claimed).toBe(60n);
    expect(await pair.settle()).toMatchObject({ promised: 60n, disputed: 0n });
  });

  it('are counted though the contract was deleted, or not in the book yet either', async () => {
    await start();
    await pair.recover();
    const contract = await pair.store({}, true, false);
    await pair.transfer(contract, 'download', 40_000, true, false);
    await pair.transfer(contract, 'delete', 0, true, false);
    await pair.payer.flush();
    await pair.killPayee();
    expect(account()).toBeUndefined();
    await pair.recover();
    expect(pair.sums().claimed).toBe(40n);
    const position = pair.payee.book.position(pair.renter.nodeId, contractHash(contract.terms));
    expect(position?.ended).toBe('deleted');
    pair.clock.time += 15 * DAY;
    await pair.audit();
    expect(pair.sums().claimed).toBe(40n);
  });

  it('are looked for though the crash came before the book was looked through', async () => {
    await start();
    await pair.recover();
    await pair.payee.close();
    pair.openPayee();
    await pair.payee.start();
    const contract = await pair.store({}, true, false);
    await pair.transfer(contract, 'download', 40_000, true, false);
    await pair.killPayee();
    await pair.recover();
    expect(pair.sums().claimed).toBe(40n);
    pair.clock.time += 15 * DAY;
    await pair.audit();
    expect(pair.sums().claimed).toBe(540n);
  });

  it('come to the same sums whenever the farmer is killed, and again while it makes up for it', async () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ do: fc.constant('read' as const), of: fc.nat(2) }) },
      fc.record({ do: fc.constant('store' as const) }),
      fc.record({ do: fc.constant('delete' as const), of: fc.nat(2) }),
      fc.record({ do: fc.constant('write' as const) }),
      fc.record({ do: fc.constant('kill' as const), again: fc.nat(3) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        await start();
        try {
          await pair.recover();
          const contracts: Contract[] = [];
          let [receipts, bytes] = [0, 0];
          const kill = async (again: number) => {
            for (let at = 1; at <= again; at += 1) {
              const count = { n: 0 };
              pair.wrapPayee = (rows) => failing(rows, { at, when: 'after' }, count);
              await pair.killPayee();
              await pair.recover().catch(() => undefined);
            }
            pair.wrapPayee = (rows) => rows;
            await pair.killPayee();
            await pair.recover();
          };
          for (const one of steps) {
            if (one.do === 'kill') await kill(one.again);
            else if (one.do === 'write') await pair.payee.flush();
            else if (one.do === 'store') {
              contracts.push(await pair.store({}, true, false));
              receipts += 1;
            } else {
              const contract = contracts[contracts.length - 1 - one.of];
              if (contract === undefined) continue;
              if (!pair.held.has(contractHash(contract.terms))) continue;
              const [direction, size] =
                one.do === 'read' ? (['download', 1000] as const) : (['delete', 0] as const);
              await pair.transfer(contract, direction, size, true, false);
              receipts += 1;
              bytes += size;
            }
          }
          await kill(0);
          expect(account()?.receipts ?? 0).toBe(receipts);
          expect(pair.sums().claimed).toBe(BigInt(bytes / 1000));
          await pair.payer.flush();
          expect((await pair.settle()).promised).toBe(BigInt(bytes / 1000));
        } finally {
          await pair.stop();
        }
      }),
      { numRuns: 25 },
    );
    await start();
  });
});

it('charges storage from the upload on, whether or not the renter signs for it', async () => {
  await start({ creditLimit: 400n });
  const terms = (await pair.store({}, false)).terms;
  const unsigned = { ...terms, shardHash: toHex(systemRandom(32)) };
  void pair.payee.stored(contractHash(unsigned), unsigned, pair.clock.now());
  await pair.payee.flush();
  pair.clock.time += 15 * DAY;
  await pair.payee.audited(pair.renter.nodeId, pair.clock.now());
  expect(pair.sums().claimed).toBe(1000n);
  expect(() => pair.payee.checkUpload(unsigned)).toThrow(/pay first/);
});

it('loses nothing and pays nothing twice, whichever write either side is killed at', async () => {
  for (const side of ['payer', 'payee'] as const) {
    for (const when of ['before', 'after'] as const) {
      for (let at = 1; ; at += 1) {
        await start();
        const contract = await pair.store();
        pair.clock.time += 15 * DAY;
        await pair.audit();
        const count = { n: 0 };
        const wrap = (rows: Rows) => failing(rows, { at, when }, count);
        await pair[side].close();
        if (side === 'payer') {
          pair.wrapPayer = wrap;
          pair.openPayer();
        } else {
          pair.wrapPayee = wrap;
          pair.openPayee();
        }
        let killed = false;
        const work = async () => {
          await pair.transfer(contract, 'download', 100_000);
          await pair.settle();
        };
        await work().catch((error: Error) => {
          if (error.message !== 'killed') throw error;
          killed = true;
        });
        pair.wrapPayer = pair.wrapPayee = (rows) => rows;
        await pair[side].close();
        if (side === 'payer') {
          pair.openPayer();
        } else {
          pair.openPayee();
          await pair.recover();
        }
        await pair.settle();
        const { promised, held, claimed } = pair.sums();
        // What was signed is not lost with who was killed before it was written down.
        expect(claimed).toBe(600n);
        expect({ promised, held }).toEqual({ promised: claimed, held: claimed });
        await pair.stop();
        if (!killed) {
          expect(at).toBeGreaterThan(1);
          break;
        }
      }
    }
  }
  await start();
}, 120_000);
