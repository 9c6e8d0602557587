import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Identity, systemRandom } from '@granary/kad';
import {
  type Contract,
  type ReadGrant,
  type ReceiptBody,
  contractHash,
  countersignReceipt,
  readerOf,
  signReadGrant,
  signReceipt,
  toHex,
} from '@granary/protocol';
import { FINE_PARTS } from './amounts.js';
import { ledgerSettlement } from './index.js';
import { Pair } from './pair.test-support.js';

let pair: Pair;
const reader = Identity.generate();

async function start(): Promise<void> {
  const renter = Identity.generate();
  const settlement = ledgerSettlement('credit', renter.nodeId);
  pair = await Pair.start({
    renter,
    payerSettlement: settlement,
    payeeSettlement: settlement,
    creditLimit: 1_000_000n,
  });
}
beforeEach(start);
afterEach(() => pair.stop());

const grantOf = (contract: Contract, limit: number, by = pair.renter): ReadGrant =>
  signReadGrant(by, {
    contract: contractHash(contract.terms),
    ...readerOf(reader),
    expires: pair.clock.now() + 1_000_000,
    limit,
  });

/** Somebody reads by a grant and signs for it. */
async function read(
  contract: Contract,
  grant: ReadGrant,
  bytes: number,
  change: { by?: Identity; body?: Partial<ReceiptBody> } = {},
): Promise<void> {
  const body: ReceiptBody = {
    contract: contractHash(contract.terms),
    direction: 'download',
    bytes,
    token: toHex(systemRandom(16)),
    time: pair.clock.now(),
    ...change.body,
  };
  const readerSignature = countersignReceipt(change.by ?? reader, signReceipt(pair.farmer, body));
  await pair.payee.shared(pair.renter.nodeId, body, { grant, readerSignature });
}

const egress = () => {
  const { renter, farmer, currency } = pair;
  return {
    renter: pair.payer.book.account(farmer.nodeId, currency)?.egress ?? 0n,
    farmer: pair.payee.book.account(renter.nodeId, currency)?.egress ?? 0n,
    waiting: pair.payee.book.unproved(renter.nodeId),
  };
};

// One unit a byte.
const PRICE = { storagePrice: '0', egressPrice: '1000000000' };

it('is owed by the renter once it has seen the proofs, to the byte, and once', async () => {
  const contract = await pair.store(PRICE);
  const grant = grantOf(contract, 10_000);
  await read(contract, grant, 4000);
  await read(contract, grant, 500);
  expect(egress()).toEqual({ renter: 0n, farmer: 0n, waiting: 4500n * FINE_PARTS });
  await pair.settle();
  const owed = 4500n * FINE_PARTS;
  expect(egress()).toEqual({ renter: owed, farmer: owed, waiting: 0n });
  await pair.settle();
  expect(egress()).toEqual({ renter: owed, farmer: owed, waiting: 0n });
  expect(pair.sums()).toEqual({ promised: 4500n, held: 4500n, claimed: 4500n });
});

it('is not owed without a proof: no grant of ours, another reader, another contract, too late', async () => {
  const contract = await pair.store(PRICE);
  const other = await pair.store(PRICE);
  const grant = grantOf(contract, 10_000);
  await read(contract, grantOf(contract, 10_000, pair.farmer), 10);
  await read(contract, grant, 20, { by: pair.farmer });
  await read(other, grant, 30);
  await read(contract, grant, 40, { body: { time: grant.body.expires } });
  await read(contract, grant, 50, { body: { direction: 'upload' } });
  await pair.payee.brokeOff(
    pair.renter.nodeId,
    {
      ...signReceipt(pair.farmer, {
        contract: contractHash(contract.terms),
        direction: 'download',
        bytes: 60,
        token: toHex(systemRandom(16)),
        time: pair.clock.now(),
      }).body,
    },
    true,
  );
  await pair.settle();
  expect(egress()).toMatchObject({ renter: 0n, farmer: 0n });
  // It counts against the credit, and is forgotten: without a proof after a day.
  pair.clock.time += 2 * 24 * 3600 * 1000;
  await pair.payee.book.sweep();
  pair.clock.time += 30 * 24 * 3600 * 1000;
  await pair.payee.book.sweep();
  expect(egress().waiting).toBe(0n);
});

it('never comes to more than the grant allows, also when answers are lost and books reopened', async () => {
  const contract = await pair.store(PRICE);
  const grant = grantOf(contract, 10_000);
  await read(contract, grant, 9000);
  let lost = 0;
  pair.onCall = (_method, when) => {
    if (when === 'after' && lost++ < 3) throw new Error('lost on the way');
  };
  for (let i = 0; i < 4; i += 1) await pair.settle().catch(() => undefined);
  expect(egress()).toMatchObject({ renter: 9000n * FINE_PARTS, farmer: 9000n * FINE_PARTS });
  await pair.payer.close();
  pair.openPayer();
  await read(contract, grant, 1001);
  await pair.settle();
  expect(egress()).toMatchObject({ renter: 9000n * FINE_PARTS, farmer: 9000n * FINE_PARTS });
  await read(contract, grant, 1000);
  await pair.settle();
  expect(egress()).toMatchObject({ renter: 10_000n * FINE_PARTS, farmer: 10_000n * FINE_PARTS });
});

it('conserves: both books agree, and what is owed is what readers signed for within the limits', async () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('read' as const), bytes: fc.integer({ min: 1, max: 3000 }) }),
      fc.record({ kind: fc.constant('unsigned' as const), bytes: fc.integer({ min: 1, max: 99 }) }),
      fc.record({ kind: fc.constant('settle' as const), lose: fc.boolean() }),
    ),
    { maxLength: 14 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      await pair.stop();
      await start();
      const contract = await pair.store(PRICE);
      const limit = 8000;
      const grant = grantOf(contract, limit);
      let signed = 0;
      for (const step of list) {
        if (step.kind === 'settle') {
          pair.onCall = (_method, when) => {
            if (step.lose && when === 'after') throw new Error('lost on the way');
          };
          await pair.settle().catch(() => undefined);
          pair.onCall = () => undefined;
          const { renter, farmer } = egress();
          expect(farmer).toBeLessThanOrEqual(BigInt(limit) * FINE_PARTS);
          expect(renter).toBeLessThanOrEqual(BigInt(limit) * FINE_PARTS);
        } else if (step.kind === 'read') {
          // The farmer itself stops at the limit.
          if (signed + step.bytes > limit) continue;
          signed += step.bytes;
          await read(contract, grant, step.bytes);
        } else {
          await read(contract, grant, step.bytes, { by: pair.farmer });
        }
      }
      await pair.settle();
      const owed = BigInt(signed) * FINE_PARTS;
      expect(egress()).toMatchObject({ renter: owed, farmer: owed });
    }),
    { numRuns: 25 },
  );
});
