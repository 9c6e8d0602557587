import { randomBytes } from 'node:crypto';
import { Identity } from '@granary/kad';
import {
  LEAF_SIZE,
  ShardTree,
  acceptContract,
  contractHash,
  proposeContract,
  signAuditAnswer,
  signAuditRequest,
  toHex,
} from '@granary/protocol';

/** Bytes that one random-chunk audit of a shard moves: request, contract and answer, as JSON. */
export function auditSize(shardSize: number): number {
  const [renter, farmer] = [Identity.generate(), Identity.generate()];
  const shard = randomBytes(shardSize);
  const tree = ShardTree.of(shard);
  const terms = {
    version: 1 as const,
    renter: renter.nodeId,
    renterKey: toHex(renter.publicKey),
    farmer: farmer.nodeId,
    farmerKey: toHex(farmer.publicKey),
    shardHash: toHex(tree.root()),
    shardSize,
    begin: 1,
    end: 2,
    currency: 'credit',
    storagePrice: '0',
    egressPrice: '0',
    auditRoot: toHex(randomBytes(32)),
    auditCount: 4,
    channel: null,
  };
  const contract = acceptContract(farmer, proposeContract(renter, terms));
  const request = signAuditRequest(renter, {
    contract: contractHash(terms),
    renter: renter.nodeId,
    farmer: farmer.nodeId,
    question: { kind: 'chunk', leaf: 0 },
    nonce: toHex(randomBytes(16)),
    expires: 1_800_000_000_000,
  });
  const result = {
    kind: 'chunk' as const,
    bytes: Buffer.from(shard.subarray(0, LEAF_SIZE)).toString('base64'),
    siblings: toHex(tree.rangeProof(0, 0, 0).siblings),
  };
  const answer = signAuditAnswer(farmer, request, result, 1_800_000_000_000);
  return JSON.stringify({ request, contract }).length + JSON.stringify(answer).length;
}
