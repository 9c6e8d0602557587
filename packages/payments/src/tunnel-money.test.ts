import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { Identity, silentLogger } from '@granary/kad';
import {
  PAY_METHOD,
  type TunnelBill,
  countersignTunnelReceipt,
  signTunnelBill,
  signTunnelReceipt,
} from '@granary/protocol';
import {
  TunnelCharges,
  TunnelSpending,
  ledgerSettlement,
  summarise,
  trafficCharge,
} from './index.js';
import { Pair } from './pair.test-support.js';

/** Units for a GB; so that a megabyte is a thousand units. */
const PRICE = 1_000_000n;
const MB = 1_000_000;
const CREDIT = 20_000n; // 20 MB
const S1 = '01'.repeat(16);
const S2 = '02'.repeat(16);

let pair: Pair;
let charges: TunnelCharges;
let spending: TunnelSpending;
afterEach(async () => {
  await spending.close();
  await charges.flush();
  await pair.stop();
});

function open(maxPrice = PRICE): void {
  const { clock, renter, farmer } = pair;
  charges = new TunnelCharges({
    identity: farmer,
    payee: pair.payee,
    price: PRICE,
    currency: 'credit',
    clock,
    logger: silentLogger,
  });
  spending = new TunnelSpending({
    identity: renter,
    payer: pair.payer,
    maxPrice,
    currency: 'credit',
    payment: { settlement: 'ledger', contract: null, creditLimit: '0' },
    clock,
    logger: silentLogger,
  });
}

async function start(): Promise<void> {
  const settlement = ledgerSettlement('credit', 'x');
  pair = await Pair.start({
    payerSettlement: settlement,
    payeeSettlement: settlement,
    creditLimit: CREDIT,
  });
  open();
}

/** What the tunnel does when it has carried, and the client for it: whether the client has signed. */
async function meter(session: string, bytes: number, own = bytes): Promise<boolean> {
  const bill = await charges.bill(pair.renterParty, { session, bytes });
  return answer(bill, { session, bytes: own });
}

async function answer(bill: TunnelBill, own: { session: string; bytes: number }) {
  const receipt = await spending.sign(pair.farmerParty, charges.price, bill, own);
  if (receipt === undefined) return false;
  const noted = await charges.receipt(pair.renterParty, receipt);
  await spending.noted(pair.farmerParty, noted);
  return true;
}

/** What a client is billed for when it comes again. */
async function comeAgain(session: string): Promise<number> {
  let signed = 0;
  for (const bill of charges.owing(pair.renterParty)) {
    if (await answer(bill, { session, bytes: 0 })) signed += 1;
  }
  return signed;
}

const owedTo = () => pair.payee.book.account(pair.renter.nodeId, 'credit')?.tunnel ?? 0n;
const owedBy = () => pair.payer.book.account(pair.farmer.nodeId, 'credit')?.tunnel ?? 0n;
const refused = (session: string, bytes: number, next = 0) => {
  try {
    charges.check(pair.renterParty, { session, bytes }, next);
    return false;
  } catch {
    return true;
  }
};

describe('a tunnel for money', () => {
  it('is paid as it carries, before its credit is used up', async () => {
    await start();
    expect(charges.meterBytes).toBe(2_500_000);
    for (let bytes = MB; bytes <= 60 * MB; bytes += MB) {
      expect(refused(S1, bytes, charges.meterBytes)).toBe(false);
      await meter(S1, bytes);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await spending.close();
    expect(owedTo()).toBe(trafficCharge(PRICE, 60 * MB));
    expect(owedBy()).toBe(owedTo());
    const { promised, held, claimed } = pair.sums();
    expect(claimed).toBe(60_000n);
    expect(held).toBe(promised);
    // Paid whenever a quarter of the credit was due.
    expect(held).toBeGreaterThan(50_000n);
    const [summary] = summarise(pair.payer.book, pair.clock.now());
    expect(summary).toMatchObject({ tunnel: '60000', storage: '0', egress: '0', owed: '60000' });
    const row = pair.payer.book.tunnel(pair.farmer.nodeId, S1);
    expect(row?.receipt?.body.bytes).toBe(60 * MB);
    expect(pair.payee.book.tunnel(pair.renter.nodeId, S1)?.receipt).toEqual(row?.receipt);
  });

  it('costs no more than its client pays, in its currency, and in a way that it can pay', async () => {
    await start();
    const { payment } = charges.price;
    const price = { price: '1000000', currency: 'credit', payment };
    expect(spending.affords(price)).toBe(true);
    expect(spending.affords({ ...price, price: '1000001' })).toBe(false);
    expect(spending.affords({ ...price, currency: 'gold' })).toBe(false);
    expect(spending.affords({ ...price, payment: { settlement: 'barter' } })).toBe(false);
    expect(() => {
      open();
      charges = new TunnelCharges({
        identity: pair.farmer,
        payee: pair.payee,
        price: 10n ** 12n,
        currency: 'credit',
        clock: pair.clock,
        logger: silentLogger,
      });
    }).toThrow(/takes a credit of at least 1048576000/);
  });

  it('gives a client that refuses to sign its credit, once a day, and no more', async () => {
    await start();
    await charges.bill(pair.renterParty, { session: S1, bytes: 15 * MB });
    expect(refused(S1, 20 * MB)).toBe(false);
    expect(refused(S1, 20 * MB, 1)).toBe(true);
    // Neither another session nor a restart of the tunnel makes it forgotten.
    charges.ended(pair.renterParty, { session: S1, bytes: 20 * MB });
    await charges.flush();
    expect(refused(S2, 0, 1)).toBe(true);
    await pair.payee.close();
    pair.openPayee();
    open();
    expect(refused(S2, 0, 1)).toBe(true);
    expect((await pair.settle()).disputed).toBe(0n);
    pair.clock.time += 25 * 3600 * 1000;
    expect(refused(S2, 20 * MB)).toBe(false);
    await pair.payee.book.sweep();
    expect(pair.payee.book.tunnel(pair.renter.nodeId, S1)).toBe(undefined);
  });

  it('stops for a client that signs and does not pay, and goes on when it is paid', async () => {
    await start();
    pair.onCall = () => {
      throw new Error('not reached');
    };
    await meter(S1, 15 * MB);
    expect(refused(S1, 15 * MB, 6 * MB)).toBe(true);
    await spending.close();
    pair.onCall = () => undefined;
    open();
    spending.held(pair.farmerParty);
    await spending.close();
    expect(pair.sums()).toEqual({ promised: 15_000n, held: 15_000n, claimed: 15_000n });
    expect(refused(S1, 35 * MB)).toBe(false);
    expect(refused(S1, 35 * MB, 1)).toBe(true);
  });

  it('is paid what it has carried while a payment was on its way', async () => {
    await start();
    let more: Promise<unknown> | undefined;
    pair.onCall = async (method, when) => {
      if (method !== PAY_METHOD || when !== 'before' || more !== undefined) return;
      more = meter(S1, 16 * MB);
      await more;
    };
    await meter(S1, 8 * MB);
    await expect.poll(() => pair.sums().held).toBe(16_000n);
  });

  it('gets a voucher that was lost in a crash, also when it is there again only later', async () => {
    await start();
    await meter(S1, 4 * MB);
    pair.onCall = (method, when) => {
      if (method === PAY_METHOD && when === 'before') throw new Error('the client is killed');
    };
    await expect(pair.settle()).rejects.toThrow('killed');
    expect(pair.sums()).toMatchObject({ promised: 4_000n, held: 0n });
    // Both start again, and the tunnel takes longer.
    let tries = 0;
    let there = false;
    pair.onCall = () => {
      tries += 1;
      if (!there) throw new Error('no node there');
    };
    const timers: { run: () => void; ms: number }[] = [];
    pair.clock.setTimeout = (run, ms) => timers.push({ run, ms });
    pair.clock.clearTimeout = () => undefined;
    await spending.close();
    open();
    spending.start();
    expect(timers.shift()?.ms).toBe(600_000);
    for (let i = 0; i < 6; i += 1) {
      await expect.poll(() => timers.length).toBe(1);
      const { run, ms } = timers.shift()!;
      expect([tries, ms]).toEqual([i + 1, 10_000 * 2 ** i]);
      there = i === 5;
      run();
    }
    await expect.poll(() => pair.sums().held).toBe(4_000n);
    expect(timers).toEqual([]);
  });

  it('is given up until the next start when it is not there for long', async () => {
    await start();
    await meter(S1, 4 * MB);
    let tries = 0;
    pair.onCall = () => {
      tries += 1;
      throw new Error('no node there');
    };
    const timers: (() => void)[] = [];
    pair.clock.setTimeout = (run) => timers.push(run);
    pair.clock.clearTimeout = () => undefined;
    await spending.close();
    open();
    spending.start();
    timers.shift();
    for (let i = 0; i < 6; i += 1) {
      await expect.poll(() => timers.length).toBe(1);
      timers.shift()!();
    }
    await expect.poll(() => tries).toBe(7);
    await spending.close();
    expect(timers).toEqual([]);
  });

  it('takes a client that signs for less at its word, and gives credit for the rest', async () => {
    await start();
    await meter(S1, 10 * MB, 4 * MB);
    expect(owedTo()).toBe(trafficCharge(PRICE, 4 * MB));
    // 6 MB that it did not sign for, 4 MB that it did not pay for.
    expect(refused(S1, 20 * MB)).toBe(false);
    expect(refused(S1, 20 * MB, 1)).toBe(true);
    await pair.settle();
    expect(refused(S1, 24 * MB)).toBe(false);
    expect(refused(S1, 24 * MB, 1)).toBe(true);
  });

  it('gets nothing for what it did not carry, nor for what it claims beyond the receipts', async () => {
    await start();
    expect(await meter(S1, 100 * MB, 3 * MB)).toBe(true);
    expect(await meter(S1, 200 * MB, 3 * MB)).toBe(false);
    // A bill for a session that never was, at another price, of another tunnel, altered.
    const bill = await charges.bill(pair.renterParty, { session: S2, bytes: MB });
    const { body } = bill;
    const sign = (value: unknown, own = { session: S1, bytes: 3 * MB }) =>
      spending.sign(pair.farmerParty, charges.price, value, own);
    expect(await sign(bill)).toBe(undefined);
    const dear = signTunnelBill(pair.farmer, { ...body, price: '2000000' });
    await expect(sign(dear, { session: S2, bytes: MB })).rejects.toThrow(/another price/);
    await expect(sign(signTunnelBill(Identity.generate(), body))).rejects.toThrow(/signature/);
    await expect(sign({ ...bill, body: { ...body, bytes: 2 * MB } })).rejects.toThrow(/signature/);
    // Its own book says more than the receipts.
    await pair.payee.book.addTunnel(pair.renter.nodeId, pair.renterParty.publicKey, {
      ...body,
      bytes: 500 * MB,
    });
    const { paid, disputed } = await pair.settle();
    expect(paid).toBe(3_000n);
    expect(disputed).toBe(500_000n);
  });

  it('takes no receipt that is forged, of somebody else, or for what it did not bill', async () => {
    await start();
    const { body } = await charges.bill(pair.renterParty, { session: S1, bytes: MB });
    const take = (value: unknown) => charges.receipt(pair.renterParty, value);
    const { renter } = pair;
    await expect(take(signTunnelReceipt(Identity.generate(), body))).rejects.toThrow(/signature/);
    for (const change of [{ bytes: MB + 1 }, { session: S2 }, { price: '1' }, { currency: 'x' }]) {
      await expect(take(signTunnelReceipt(renter, { ...body, ...change }))).rejects.toThrow(
        /billed/,
      );
    }
    await expect(
      take(signTunnelReceipt(renter, { ...body, tunnel: renter.nodeId })),
    ).rejects.toThrow(/another tunnel/);
    // Nor does the client take one that the tunnel did not sign.
    const signed = signTunnelReceipt(renter, body);
    await expect(
      spending.noted(pair.farmerParty, countersignTunnelReceipt(renter, signed)),
    ).rejects.toThrow(/signature/);
    expect(owedTo()).toBe(0n);
    for (let i = 0; i < 3; i += 1) await take(signed);
    expect(owedTo()).toBe(trafficCharge(PRICE, MB));
  });

  it('has signed later what a crash of either side kept from being signed', async () => {
    await start();
    await meter(S1, 5 * MB);
    // The client is killed: what it counted since is not known to it any more.
    charges.ended(pair.renterParty, { session: S1, bytes: 7 * MB });
    await charges.flush();
    expect(await comeAgain(S2)).toBe(0);
    expect(refused(S2, 13 * MB)).toBe(false);
    expect(refused(S2, 18 * MB, 1)).toBe(true);
    // The connection broke, and both know what went through.
    await meter(S2, 3 * MB);
    charges.ended(pair.renterParty, { session: S2, bytes: 9 * MB });
    spending.ended(pair.farmerParty, charges.price, { session: S2, bytes: 8 * MB });
    await charges.flush();
    await spending.close();
    open();
    expect(await comeAgain('03'.repeat(16))).toBe(1);
    expect(owedTo()).toBe(trafficCharge(PRICE, 13 * MB));
    // The receipt was written down, and did not leave, or was not written down by the tunnel.
    const bill = await charges.bill(pair.renterParty, { session: S2, bytes: 10 * MB });
    const own = { session: S2, bytes: 10 * MB };
    expect(await spending.sign(pair.farmerParty, charges.price, bill, own)).not.toBe(undefined);
    expect(owedBy()).toBe(owedTo() + trafficCharge(PRICE, 2 * MB));
    expect(await comeAgain('03'.repeat(16))).toBe(1);
    expect(owedBy()).toBe(owedTo());
    await pair.settle();
    const { promised, held } = pair.sums();
    expect([promised, held]).toEqual([15_000n, 15_000n]);
  });

  it('gives a client that has lost its book its receipts again, those that are not forgotten', async () => {
    await start();
    for (let i = 1; i <= 70; i += 1) {
      await meter(i.toString(16).padStart(32, '0'), 100_000);
    }
    await spending.close();
    await pair.settle();
    open();
    await meter(S1, 2 * MB);
    await spending.close();
    await pair.payer.close();
    pair.openPayer('lost.lmdb');
    open();
    expect(await pair.settle()).toMatchObject({ paid: 2_000n, promised: 9_000n, disputed: 0n });
    expect(owedBy()).toBe(owedTo());
    // What it may have counted and forgotten is not counted again.
    pair.clock.time += 200 * 24 * 3600 * 1000;
    await pair.payer.book.sweep();
    await pair.payee.tunnelled(pair.renterParty, await oldReceipt());
    expect(await pair.settle()).toMatchObject({ paid: 0n, promised: 9_000n });

    async function oldReceipt() {
      const time = pair.clock.now() - 190 * 24 * 3600 * 1000;
      const body = {
        ...(await charges.bill(pair.renterParty, { session: S2, bytes: MB })).body,
        time,
      };
      return countersignTunnelReceipt(pair.farmer, signTunnelReceipt(pair.renter, body));
    }
  });

  it('whatever is carried, signed, paid, lost and crashed: owed is what both count, and credit holds', async () => {
    const act = fc.oneof(
      fc.record({ do: fc.constant('carry' as const), bytes: fc.integer({ min: 1, max: 3 * MB }) }),
      fc.record({ do: fc.constant('bill' as const), share: fc.integer({ min: 0, max: 100 }) }),
      fc.record({ do: fc.constantFrom('pay', 'end', 'crash tunnel', 'crash client') }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 25 }), async (acts) => {
        await start();
        try {
          let number = 1;
          const name = () => number.toString(16).padStart(32, '0');
          let [carried, arrived, total] = [0, 0, 0];
          const restart = async () => {
            number += 1;
            [carried, arrived] = [0, 0];
            await comeAgain(name());
          };
          for (const one of acts) {
            const session = name();
            if (one.do === 'carry' && 'bytes' in one) {
              if (refused(session, carried, one.bytes)) continue;
              carried += one.bytes;
              arrived += one.bytes;
              total += one.bytes;
            } else if (one.do === 'bill' && 'share' in one) {
              await meter(session, carried, Math.floor((arrived * one.share) / 100));
            } else if (one.do === 'pay') {
              await pair.settle();
            } else if (one.do === 'end') {
              charges.ended(pair.renterParty, { session, bytes: carried });
              spending.ended(pair.farmerParty, charges.price, { session, bytes: arrived });
              await charges.flush();
              await spending.close();
              open();
              await restart();
            } else if (one.do === 'crash tunnel') {
              // It forgets what it did not bill; so it can't be claimed, nor count.
              total -=
                carried - (pair.payee.book.tunnel(pair.renter.nodeId, session)?.carried ?? 0);
              await pair.payee.close();
              pair.openPayee();
              open();
              await restart();
            } else {
              charges.ended(pair.renterParty, { session, bytes: carried });
              await charges.flush();
              await spending.close();
              await pair.payer.close();
              pair.openPayer();
              open();
              await restart();
            }
            const { held, promised } = pair.sums();
            const fine = trafficCharge(PRICE, 1) * 1000n; // a unit
            expect(owedTo()).toBe(owedBy());
            // A voucher may be on its way.
            expect(held).toBeLessThanOrEqual(promised);
            expect(promised * fine).toBeLessThanOrEqual(owedTo());
            expect(owedTo()).toBeLessThanOrEqual(trafficCharge(PRICE, total));
            // All that was ever carried and not paid for is within the credit.
            expect(trafficCharge(PRICE, total) - held * fine).toBeLessThanOrEqual(CREDIT * fine);
          }
        } finally {
          await spending.close();
          await charges.flush();
          await pair.stop();
        }
      }),
      { numRuns: 15 },
    );
    await start();
  });
});
