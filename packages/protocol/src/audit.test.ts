import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Identity } from '@granary/kad';
import {
  type AuditQuestion,
  type AuditResult,
  LEAF_SIZE,
  ShardTree,
  acceptContract,
  acceptRenewal,
  auditLeaf,
  auditPathOf,
  auditRootOf,
  contractHash,
  judgeAudit,
  parseRenewal,
  parseRootRecord,
  proposeContract,
  proposeRenewal,
  provesPossession,
  signAuditAnswer,
  signAuditRequest,
  signRootRecord,
  toHex,
  verifyAuditAnswer,
} from './index.js';

const renter = Identity.generate();
const farmer = Identity.generate();
const challenges = Array.from({ length: 5 }, () => randomBytes(32));
const answerTo = (challenge: Uint8Array, shard: Uint8Array) =>
  createHash('sha256').update(challenge).update(shard).digest();
const leavesFor = (shard: Uint8Array) =>
  Buffer.concat(challenges.map((challenge) => auditLeaf(answerTo(challenge, shard))));

function contractFor(shard: Uint8Array, begin = 1000) {
  return acceptContract(
    farmer,
    proposeContract(renter, {
      version: 1,
      renter: renter.nodeId,
      renterKey: toHex(renter.publicKey),
      farmer: farmer.nodeId,
      farmerKey: toHex(farmer.publicKey),
      shardHash: toHex(ShardTree.of(shard).root()),
      shardSize: shard.length,
      begin,
      end: 2_000_000,
      currency: 'credit',
      storagePrice: '0',
      egressPrice: '0',
      auditRoot: toHex(auditRootOf(leavesFor(shard))),
      auditCount: challenges.length,
      channel: null,
    }),
  );
}

function requestFor(
  contract: ReturnType<typeof contractFor>,
  question: AuditQuestion,
  by = renter,
) {
  return signAuditRequest(by, {
    contract: contractHash(contract.terms),
    renter: renter.nodeId,
    farmer: farmer.nodeId,
    question,
    nonce: toHex(randomBytes(16)),
    expires: 5000,
  });
}

function chunk(shard: Uint8Array, leaf: number): AuditResult {
  const { siblings } = ShardTree.of(shard).rangeProof(0, leaf, leaf);
  const bytes = shard.subarray(leaf * LEAF_SIZE, (leaf + 1) * LEAF_SIZE);
  return {
    kind: 'chunk',
    bytes: Buffer.from(bytes).toString('base64'),
    siblings: toHex(siblings),
  };
}

const shard = randomBytes(9 * LEAF_SIZE + 100);
const contract = contractFor(shard);

describe('an audit', () => {
  it('is passed by whoever has the shard, for any chunk and any challenge', () => {
    for (let leaf = 0; leaf < 10; leaf += 1) {
      const request = requestFor(contract, { kind: 'chunk', leaf });
      const answer = signAuditAnswer(farmer, request, chunk(shard, leaf), 2000);
      expect(judgeAudit({ contract, request, answer })).toBe('held');
      // A few KiB, however large the shard.
      expect(JSON.stringify(answer).length).toBeLessThan(8 * 1024);
    }
    challenges.forEach((challenge, index) => {
      const question = { kind: 'challenge', index, challenge: toHex(challenge) } as const;
      const request = requestFor(contract, question);
      const path = toHex(auditPathOf(leavesFor(shard), index));
      const result = {
        kind: 'challenge',
        answer: toHex(answerTo(challenge, shard)),
        path,
      } as const;
      const answer = signAuditAnswer(farmer, request, result, 2000);
      expect(judgeAudit({ contract, request, answer })).toBe('held');
    });
  });

  it('is failed, provably, by a wrong byte, another chunk, another shard, or an admission', () => {
    const request = requestFor(contract, { kind: 'chunk', leaf: 3 });
    const spoilt = Buffer.from(shard);
    spoilt[3 * LEAF_SIZE + 7]! ^= 1;
    for (const result of [
      chunk(spoilt, 3),
      chunk(shard, 4),
      // Two contracts for one space: the bytes of the other one's shard.
      chunk(randomBytes(shard.length), 3),
      { ...chunk(shard, 3), siblings: '' } as AuditResult,
      { ...chunk(shard, 3), siblings: 'zz' } as AuditResult,
      { kind: 'lost' } as const,
      { kind: 'challenge', answer: '0'.repeat(64), path: '' } as const,
    ]) {
      const answer = signAuditAnswer(farmer, request, result, 2000);
      expect(judgeAudit({ contract, request, answer })).toBe('failed');
    }
  });

  it('can not be answered by an old answer or by somebody else', () => {
    const question = { kind: 'chunk', leaf: 3 } as const;
    const first = requestFor(contract, question);
    const old = signAuditAnswer(farmer, first, chunk(shard, 3), 2000);
    const request = requestFor(contract, question);
    expect(() => judgeAudit({ contract, request, answer: old })).toThrow(/another question/);
    // A colluding peer that has the shard, or says so, can't speak for the farmer.
    const peer = Identity.generate();
    const answer = signAuditAnswer(peer, request, chunk(shard, 3), 2000);
    expect(() => judgeAudit({ contract, request, answer })).toThrow(/is not valid/);
  });

  it('can not be forged to hurt a farmer', () => {
    const question = { kind: 'chunk', leaf: 3 } as const;
    const request = requestFor(contract, question);
    const good = signAuditAnswer(farmer, request, chunk(shard, 3), 2000);
    const spoilt = { ...good, body: { ...good.body, result: { kind: 'lost' } } };
    expect(() => judgeAudit({ contract, request, answer: spoilt })).toThrow(/is not valid/);
    // An answer that is right for its own contract, held against another one.
    const other = contractFor(randomBytes(shard.length));
    expect(() => judgeAudit({ contract: other, request, answer: good })).toThrow(
      /another contract/,
    );
    // A question about what was never agreed on.
    for (const bad of [
      { kind: 'chunk', leaf: 10 },
      { kind: 'challenge', index: 5, challenge: toHex(challenges[0]!) },
    ] as const) {
      const impossible = requestFor(contract, bad);
      const answer = signAuditAnswer(farmer, impossible, { kind: 'lost' }, 2000);
      expect(() => judgeAudit({ contract, request: impossible, answer })).toThrow(/no such chunk/);
    }
    // A question that the contract's renter did not put.
    const stranger = requestFor(contract, question, Identity.generate());
    const answered = signAuditAnswer(farmer, stranger, { kind: 'lost' }, 2000);
    expect(() => judgeAudit({ contract, request: stranger, answer: answered })).toThrow(
      /is not valid/,
    );
    // A contract whose terms were changed after both had signed.
    const terms = { ...contract.terms, shardHash: '0'.repeat(64) };
    expect(() => judgeAudit({ contract: { ...contract, terms }, request, answer: good })).toThrow();
  });

  it('does not let one challenge pass for another, whatever the tree', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { minLength: 1, maxLength: 40 }),
        fc.nat(),
        fc.nat(),
        (answers, a, b) => {
          const leaves = Buffer.concat(answers.map((answer) => auditLeaf(answer)));
          const root = auditRootOf(leaves);
          const i = a % answers.length;
          const path = auditPathOf(leaves, i);
          expect(verifyAuditAnswer(root, answers.length, i, answers[i]!, path)).toBe(true);
          const j = b % answers.length;
          const same = Buffer.from(answers[i]!).equals(Buffer.from(answers[j]!));
          if (i !== j && !same) {
            expect(verifyAuditAnswer(root, answers.length, j, answers[i]!, path)).toBe(false);
            expect(verifyAuditAnswer(root, answers.length, i, answers[j]!, path)).toBe(false);
          }
          // The number of audits is part of the root.
          expect(verifyAuditAnswer(root, answers.length + 1, i, answers[i]!, path)).toBe(false);
          const longer = Buffer.concat([path, Buffer.alloc(32)]);
          expect(verifyAuditAnswer(root, answers.length, i, answers[i]!, longer)).toBe(false);
        },
      ),
    );
  });

  it('of an empty shard is passed with nothing in hand but the contract', () => {
    const empty = contractFor(new Uint8Array(0));
    const request = requestFor(empty, { kind: 'chunk', leaf: 0 });
    const result = { kind: 'chunk', bytes: '', siblings: '' } as const;
    const answer = signAuditAnswer(farmer, request, result, 1);
    expect(provesPossession(answer, request, empty)).toBe(true);
  });
});

describe('a renewal', () => {
  const body = {
    contract: contractHash(contract.terms),
    previousEnd: 2_000_000,
    end: 3_000_000,
    storagePrice: '1',
    egressPrice: '2',
  };

  it('is in force when both have signed it for this contract', () => {
    const renewal = acceptRenewal(farmer, proposeRenewal(renter, body));
    expect(parseRenewal(JSON.parse(JSON.stringify(renewal)), contract)).toEqual(renewal);
    const other = contractFor(randomBytes(10));
    expect(() => parseRenewal(renewal, other)).toThrow(/another contract/);
    for (const change of [{ end: 3_000_001 }, { storagePrice: '0' }, { previousEnd: 1 }]) {
      const changed = { ...renewal, body: { ...body, ...change } };
      expect(() => parseRenewal(changed, contract)).toThrow(/is not valid/);
    }
    const forged = acceptRenewal(renter, proposeRenewal(renter, body));
    expect(() => parseRenewal(forged, contract)).toThrow(/is not valid/);
    const backwards = proposeRenewal(renter, { ...body, end: 2_000_000 });
    expect(() => parseRenewal(acceptRenewal(farmer, backwards), contract)).toThrow(/before it/);
  });
});

describe('a root record', () => {
  it('is taken from its renter alone', () => {
    const record = signRootRecord(renter, 7, randomBytes(100));
    expect(parseRootRecord(JSON.parse(JSON.stringify(record)), renter.nodeId)).toEqual(record);
    expect(() => parseRootRecord(record, farmer.nodeId)).toThrow(/another renter/);
    const body = { ...record.body, sequence: 8 };
    expect(() => parseRootRecord({ ...record, body })).toThrow(/is not valid/);
    const stolen = { ...record.body, renter: farmer.nodeId };
    expect(() => parseRootRecord({ ...record, body: stolen })).toThrow(/does not belong/);
    expect(() => signRootRecord(renter, 1, new Uint8Array(200_000))).toThrow(/over/);
  });
});
