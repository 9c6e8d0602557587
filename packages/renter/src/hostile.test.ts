import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
// The renter's own tests need farmers; the layers let no other code of this package name them.
// eslint-disable-next-line no-restricted-imports
import type { Farmer } from '@granary/farmer';
import {
  HttpsTransport,
  Identity,
  KademliaNode,
  MemoryValueStore,
  createTlsCredentials,
  silentLogger,
} from '@granary/kad';
import {
  AUDIT_METHOD,
  GET_ROOT_METHOD,
  LIST_CONTRACTS_METHOD,
  PUT_ROOT_METHOD,
  RENEW_METHOD,
  judgeAudit,
  proposeRenewal,
  signAuditAnswer,
  signAuditRequest,
  signRootRecord,
  toHex,
} from '@granary/protocol';
import { TestGranary, put, read } from './care.test-support.js';
import type { Renter } from './index.js';

let granary: TestGranary;
let renter: Renter;
let victim: Farmer;
beforeEach(async () => {
  granary = await TestGranary.start(6);
  renter = await granary.renter();
  await put(renter, 'file', randomBytes(50_000));
  const [first] = (await renter.stat({ bucket: 'test', name: 'file' })).farmers;
  victim = granary.farmer(first!.nodeId);
});
afterEach(() => granary.stop());

type Answers = { answer(params: unknown): Promise<unknown> };
const answersOf = (farmer: Farmer) => (farmer as unknown as { audits: Answers }).audits;
const identityOf = (farmer: Farmer) => farmer.node.identity;
const standing = async (farmer: Farmer) => {
  const standings = await renter.standings();
  const { nodeId } = farmer.contact;
  return standings.find(({ record }) => record.contact.nodeId === nodeId)!.record.reputation;
};

it('finds a farmer out that has a colluding peer answer for it', async () => {
  const colluder = granary.farmers.find((farmer) => farmer !== victim)!;
  const own = answersOf(colluder);
  const theirs = own.answer.bind(own);
  // The peer answers about a shard that it has, in its own name.
  answersOf(victim).answer = async (params) => {
    const { request } = params as { request: Parameters<typeof signAuditAnswer>[1] };
    await theirs(params).catch(() => undefined);
    return signAuditAnswer(identityOf(colluder), request, { kind: 'lost' }, granary.clock.now());
  };
  const { audits } = await renter.care({ auditAll: true });
  expect(audits.failed).toBe(1);
  expect(await standing(victim)).toMatchObject({ standing: 'suspected', failed: 1 });
  expect(await standing(colluder)).toMatchObject({ failed: 0 });
});

it('finds a farmer out that replays old answers, and disqualifies one that goes on', async () => {
  for (let i = 0; i < 12; i += 1) await put(renter, `more-${i}`, randomBytes(1000));
  const honest = answersOf(victim).answer.bind(answersOf(victim));
  let old: unknown;
  answersOf(victim).answer = async (params) => (old ??= await honest(params));
  expect((await renter.care({ auditAll: true })).audits.failed).toBe(0);
  expect((await renter.care({ auditAll: true })).audits.failed).toBe(1);
  for (let i = 0; i < 8 && (await standing(victim)).standing !== 'disqualified'; i += 1) {
    await renter.care({ auditAll: true });
  }
  expect(await standing(victim)).toMatchObject({ standing: 'disqualified', passed: 1 });
  // It gets nothing new, and what it held is made anew elsewhere or waits for room.
  const shards = victim.stats().shards;
  await put(renter, 'after', randomBytes(1000));
  expect(victim.stats().shards).toBe(shards);
  await renter.pardon(victim.contact.nodeId);
  expect((await standing(victim)).standing).toBe('suspected');
});

it('has proof when a farmer signed two contracts for one space', async () => {
  // It keeps the first shard only, and answers every question from it, signed as it must be.
  for (let i = 0; i < 4; i += 1) await put(renter, `other-${i}`, randomBytes(50_000));
  const honest = answersOf(victim).answer.bind(answersOf(victim));
  let kept: string | undefined;
  let sample: { body: { result: Parameters<typeof signAuditAnswer>[2] } } | undefined;
  answersOf(victim).answer = async (params) => {
    const { request } = params as { request: Parameters<typeof signAuditAnswer>[1] };
    kept ??= request.body.contract;
    if (request.body.contract === kept) {
      sample = (await honest(params)) as typeof sample;
      return sample;
    }
    return signAuditAnswer(identityOf(victim), request, sample!.body.result, granary.clock.now());
  };
  for (let i = 0; i < 30 && (await renter.evidence()).length === 0; i += 1) {
    await renter.care({ auditAll: true });
  }
  const proofs = (await renter.evidence()) as Parameters<typeof judgeAudit>[0][];
  for (const proof of proofs) expect(judgeAudit(proof)).toBe('failed');
  expect(proofs.length).toBeGreaterThan(0);
});

it('does not believe a delete that its farmer did not sign for', async () => {
  const own = identityOf(victim);
  const stranger = Identity.generate();
  const sign = own.sign.bind(own);
  Object.assign(own, { sign: stranger.sign.bind(stranger) });
  const { pending } = await renter.delete({ bucket: 'test', name: 'file' });
  expect(pending.map(({ farmer }) => farmer)).toContain(victim.contact.nodeId);
  Object.assign(own, { sign });
  const later = await renter.collectGarbage();
  expect(later.pending).toEqual([]);
  expect(granary.held()).toBe((await renter.status()).shards);
});

it('refuses a stranger everything that is a renter’s: lists, renewals, audits, root records', async () => {
  const stranger = Identity.generate();
  const credentials = await createTlsCredentials(stranger);
  const node = new KademliaNode({
    identity: stranger,
    transport: new HttpsTransport({ credentials, logger: silentLogger }),
    storage: new MemoryValueStore(),
  });
  await node.start();
  try {
    const contact = await node.resolve(victim.address);
    const ask = (method: string, params: unknown) => node.call(contact, method, params);
    expect(await ask(LIST_CONTRACTS_METHOD, { after: '' })).toEqual({ contracts: [], more: false });
    expect(await ask(GET_ROOT_METHOD, {})).toEqual({ record: null });
    const kit = await renter.auditKit({ bucket: 'test', name: 'file' }, 60_000);
    const { contract, request } = kit.audits.find(
      ({ contract: { terms } }) => terms.farmer === victim.contact.nodeId,
    )!;
    const forged = signAuditRequest(stranger, request.body);
    await expect(ask(AUDIT_METHOD, { request: forged, contract })).rejects.toMatchObject({
      remoteCode: 'PROTOCOL_BAD_SIGNATURE',
    });
    const late = { ...request, body: { ...request.body, expires: 1 } };
    await expect(ask(AUDIT_METHOD, { request: late, contract })).rejects.toMatchObject({
      remoteCode: 'PROTOCOL_EXPIRED',
    });
    const renewal = proposeRenewal(stranger, {
      contract: request.body.contract,
      previousEnd: contract.terms.end,
      end: contract.terms.end + 1,
      storagePrice: '0',
      egressPrice: '0',
    });
    await expect(ask(RENEW_METHOD, renewal)).rejects.toMatchObject({
      remoteCode: 'PROTOCOL_BAD_SIGNATURE',
    });
    const root = signRootRecord(granary.keys.identity, 10 ** 6, randomBytes(10));
    await expect(ask(PUT_ROOT_METHOD, root)).rejects.toMatchObject({
      remoteCode: 'PROTOCOL_BAD_SIGNATURE',
    });
    for (const method of [AUDIT_METHOD, RENEW_METHOD, PUT_ROOT_METHOD, LIST_CONTRACTS_METHOD]) {
      for (const junk of [null, {}, { request: 1 }, [], 'x', { after: toHex(randomBytes(3)) }]) {
        await expect(ask(method, junk)).rejects.toMatchObject({
          remoteCode: expect.stringMatching(/^(PROTOCOL|KAD)_/) as string,
        });
      }
    }
  } finally {
    await node.stop();
  }
  expect((await read(renter, 'file')).length).toBe(50_000);
});

it('is refused by a farmer that blocks it, and stores with the others', async () => {
  const blocking = await granary.addFarmer({ blockedRenters: [granary.keys.identity.nodeId] });
  for (let i = 0; i < 4; i += 1) await put(renter, `blocked-${i}`, randomBytes(1000));
  expect(blocking.stats().shards).toBe(0);
});
