import { type KademliaNode, messageOf } from '@granary/kad';
import {
  AUDIT_METHOD,
  type AuditRequest,
  type Contract,
  type Manifest,
  checkAuditRequest,
  contractHash,
  fromHex,
  parseAuditAnswer,
  parseAuditRequest,
  parseContract,
  provesPossession,
  signAuditRequest,
  toHex,
} from '@granary/protocol';
import { AUDIT_SALT_SIZE, challengeOf } from './audit-challenges.js';
import { RenterError } from './errors.js';
import type { RenterCore } from './renter-core.js';

/** Contracts, and one signed question about each. Whoever has it can ask; nobody can read by it. */
export interface AuditKit {
  readonly format: 'granary-audit-kit';
  readonly audits: readonly { readonly contract: Contract; readonly request: AuditRequest }[];
}

/** What an auditor found about one contract; `answer` with the kit's documents proves it. */
export interface KitResult {
  readonly contract: string;
  readonly farmer: string;
  readonly verdict: 'held' | 'failed' | 'unanswered';
  readonly reason: string;
  readonly answer: unknown;
}

/** Make a kit of the next unused challenge of every shard of an object. */
export async function makeAuditKit(
  core: RenterCore,
  manifest: Manifest,
  lifetimeMs: number,
): Promise<AuditKit> {
  const { store, keys, clock, random } = core;
  const objectKey = keys.objectKey(fromHex(manifest.objectId));
  const audits: { contract: Contract; request: AuditRequest }[] = [];
  for await (const segment of store.segments(manifest.objectId)) {
    for (const shard of segment.shards) {
      const record = await store.contract(shard.contract);
      const used = record?.challenged ?? 0;
      if (record === undefined || used >= record.contract.terms.auditCount) continue;
      await store.changeContract(shard.contract, (old) => ({ ...old, challenged: used + 1 }));
      const salt = shard.auditSalt ?? segment.salt.slice(0, 2 * AUDIT_SALT_SIZE);
      const seed = { objectKey, auditSalt: fromHex(salt), hash: fromHex(shard.hash) };
      const request = signAuditRequest(keys.identity, {
        contract: shard.contract,
        renter: keys.identity.nodeId,
        farmer: shard.farmer,
        question: { kind: 'challenge', index: used, challenge: toHex(challengeOf(seed, used)) },
        nonce: toHex(random(16)),
        expires: clock.now() + lifetimeMs,
      });
      audits.push({ contract: record.contract, request });
    }
  }
  return { format: 'granary-audit-kit', audits };
}

/** Parse a kit; every signature is checked. @throws RenterError RENTER_BAD_EXPORT. */
export function parseAuditKit(text: string): AuditKit {
  try {
    const kit = JSON.parse(text) as { format?: unknown; audits?: unknown };
    if (kit.format !== 'granary-audit-kit' || !Array.isArray(kit.audits)) {
      throw new Error('it is not an audit kit');
    }
    const audits = kit.audits.map((entry: { contract?: unknown; request?: unknown } | null) => {
      const contract = parseContract(entry?.contract);
      const request = parseAuditRequest(entry?.request);
      checkAuditRequest(request, contract, 0);
      return { contract, request };
    });
    return { format: 'granary-audit-kit', audits };
  } catch (error) {
    throw new RenterError('RENTER_BAD_EXPORT', `the audit kit can't be used: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Put the questions of a kit, as any node of the network can. */
export async function* runAuditKit(
  node: KademliaNode,
  kit: AuditKit,
  signal: AbortSignal,
): AsyncGenerator<KitResult> {
  for (const { contract, request } of kit.audits) {
    const { farmer } = contract.terms;
    const base = { contract: contractHash(contract.terms), farmer };
    try {
      const { contacts } = await node.lookup(farmer, { signal });
      const contact = contacts.find(({ nodeId }) => nodeId === farmer);
      if (contact === undefined) throw new Error('the farmer is not in the network now');
      const options = { signal, timeoutMs: 20_000 };
      const value = await node.call(contact, AUDIT_METHOD, { request, contract }, options);
      const answer = parseAuditAnswer(value, request, contract);
      const held = provesPossession(answer, request, contract);
      const reason = held ? 'it holds the shard' : 'its signed answer is not the shard';
      yield { ...base, verdict: held ? 'held' : 'failed', reason, answer };
    } catch (error) {
      signal.throwIfAborted();
      // Only what the farmer has signed counts against it.
      yield { ...base, verdict: 'unanswered', reason: messageOf(error), answer: null };
    }
  }
}
