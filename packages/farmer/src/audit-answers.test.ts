import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
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
  AUDIT_NONCE,
  auditAnswer,
  auditLeaf,
  auditRootOf,
  completeContract,
  contractHash,
  judgeAudit,
  proposeContract,
  signAuditRequest,
  signToken,
  toHex,
} from '@granary/protocol';
import { contractTerms } from './contract-terms.test-support.js';
import { Farmer } from './farmer.js';
import { clientsOf } from './transfer-client.test-support.js';

const renter = Identity.generate();
const identity = Identity.generate();
const sockets: WebSocket[] = [];
let directory: string;
let farmer: Farmer;
let node: KademliaNode;
const Client = clientsOf(() => farmer, renter, sockets);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-audits-'));
  farmer = await Farmer.open({
    directory,
    identity,
    host: '127.0.0.1',
    port: 0,
    bootstrap: [],
    quotaBytes: 10_000_000,
    logger: silentLogger,
  });
  const credentials = await createTlsCredentials(renter);
  node = new KademliaNode({
    identity: renter,
    transport: new HttpsTransport({ credentials, logger: silentLogger }),
    storage: new MemoryValueStore(),
  });
  await node.start();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await node.stop();
  await farmer.stop();
  await rm(directory, { recursive: true, force: true });
});

// What renters commit to, said once more from the definitions.
const answerOf = {
  1: (challenge: Uint8Array, shard: Uint8Array) =>
    createHash('sha256').update(challenge).update(shard).digest(),
  2: (challenge: Uint8Array, shard: Uint8Array) => {
    const cipher = createCipheriv('aes-256-gcm', challenge, AUDIT_NONCE).setAAD(shard);
    cipher.final();
    return auditAnswer(challenge, cipher.getAuthTag());
  },
};

async function store(shard: Uint8Array, version: 1 | 2, challenges: readonly Uint8Array[]) {
  const leaves = Buffer.concat(
    challenges.map((challenge) => auditLeaf(answerOf[version](challenge, shard))),
  );
  const terms = contractTerms({ renter, farmer: identity }, shard, {
    version,
    auditRoot: toHex(auditRootOf(leaves)),
    auditCount: challenges.length,
  });
  const proposal = proposeContract(renter, terms);
  const token = signToken(renter, {
    contract: contractHash(terms),
    renter: renter.nodeId,
    renterKey: toHex(renter.publicKey),
    farmer: identity.nodeId,
    direction: 'upload',
    offset: 0,
    length: 0,
    expires: Date.now() + 60_000,
    nonce: toHex(randomBytes(16)),
  });
  const client = await Client.open();
  client.send({ type: 'upload', proposal, token, audits: toHex(leaves) });
  const ready = await client.answer();
  const contract = completeContract(proposal, ready['farmerSignature'] as string);
  for (let at = 0; at < shard.length; at += 200_000) {
    client.socket.send(shard.subarray(at, at + 200_000));
  }
  expect((await client.answer()).type).toBe('stored');
  return contract;
}

// Shards of less than a piece that a farmer reads at once, of more, and of none.
it.each([
  [1, 2_500_001],
  [2, 2_500_001],
  [2, 4096],
  [2, 0],
] as const)(
  'gives the answers that a contract of version %i has, for %i bytes',
  async (version, size) => {
    const challenges = [randomBytes(32), randomBytes(32), randomBytes(32)];
    const contract = await store(randomBytes(size), version, challenges);
    const ask = async (index: number, challenge: Uint8Array) => {
      const request = signAuditRequest(renter, {
        contract: contractHash(contract.terms),
        renter: renter.nodeId,
        farmer: identity.nodeId,
        question: { kind: 'challenge', index, challenge: toHex(challenge) },
        nonce: toHex(randomBytes(16)),
        expires: Date.now() + 60_000,
      });
      const answer = await node.call(farmer.contact, AUDIT_METHOD, { request, contract });
      return judgeAudit({ contract, request, answer });
    };
    for (const [index, challenge] of challenges.entries()) {
      expect(await ask(index, challenge)).toBe('held');
    }
    // Not by any challenge: it is the very one that was committed to.
    expect(await ask(1, challenges[0]!)).toBe('failed');
  },
);
