import { KadError, RemoteError, messageOf, randomFraction } from '@granary/kad';
import {
  AUDIT_METHOD,
  type AuditQuestion,
  type AuditRequest,
  type Contract,
  ProtocolError,
  contractHash,
  fromHex,
  leafCount,
  parseAuditAnswer,
  provesPossession,
  signAuditRequest,
  toHex,
} from '@granary/protocol';
import { AUDIT_SALT_SIZE, challengeOf } from './audit-challenges.js';
import { isOwnFault } from './errors.js';
import type { ContractRecord, HoldingRecord } from './records.js';
import type { RenterCore } from './renter-core.js';
import { type Reputation, afterAudit, afterContact } from './reputation.js';

/**
 * How an audit went: `silent` when nobody answered, `busy` when the farmer could not answer now, or
 * could not be asked for a reason that is not its own.
 */
export type AuditOutcome =
  /** `time` is what the farmer's answer bears, in milliseconds since the epoch. */
  | { readonly kind: 'held'; readonly time: number }
  | { readonly kind: 'failed'; readonly reason: string; readonly proof: unknown }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'busy' | 'silent'; readonly reason: string };

/** Audits of one round. */
export interface AuditReport {
  held: number;
  failed: number;
  unanswered: number;
}

const REQUEST_LIFETIME_MS = 5 * 60_000;
const TIMEOUT_MS = 20_000;
/** Farmers audited at one time. */
const PARALLEL = 8;
/** A suspected farmer is asked this many times as often, so that it is soon clear what it is. */
const SUSPECT_RATE = 8;
/** Codes that say "not now", which is no failure to hold the shard. */
const BUSY = new Set(['KAD_BUSY', 'FARMER_BUSY', 'FARMER_DISK', 'FARMER_STOPPING', 'KAD_INTERNAL']);

/** Ask one question about one contract. */
export async function ask(
  core: RenterCore,
  contract: Contract,
  question: AuditQuestion,
  signal: AbortSignal,
): Promise<AuditOutcome> {
  const { keys, network, directory, clock, random } = core;
  const { farmer } = contract.terms;
  const request = signAuditRequest(keys.identity, {
    contract: contractHash(contract.terms),
    renter: keys.identity.nodeId,
    farmer,
    question,
    nonce: toHex(random(16)),
    expires: clock.now() + REQUEST_LIFETIME_MS,
  });
  let answer: unknown;
  try {
    const contact = await directory.contactOf(farmer);
    const options = { signal, timeoutMs: TIMEOUT_MS };
    answer = await network.node.call(contact, AUDIT_METHOD, { request, contract }, options);
  } catch (error) {
    signal.throwIfAborted();
    const reason = messageOf(error);
    if (error instanceof RemoteError) {
      return { kind: BUSY.has(error.remoteCode) ? 'busy' : 'refused', reason };
    }
    if (error instanceof KadError && error.code === 'KAD_MALFORMED') {
      return { kind: 'refused', reason };
    }
    return { kind: isOwnFault(error) ? 'busy' : 'silent', reason };
  }
  return judge(answer, request, contract);
}

function judge(value: unknown, request: AuditRequest, contract: Contract): AuditOutcome {
  try {
    const answer = parseAuditAnswer(value, request, contract);
    if (provesPossession(answer, request, contract)) {
      return { kind: 'held', time: answer.body.time };
    }
    const lost = answer.body.result.kind === 'lost';
    const reason = lost ? 'it admits that the shard is lost' : 'its answer is not the shard';
    return { kind: 'failed', reason, proof: { contract, request, answer } };
  } catch (error) {
    if (error instanceof ProtocolError) return { kind: 'refused', reason: error.message };
    throw error;
  }
}

/**
 * Audits farmers over time: each one every `auditIntervalMs`, give or take half of it, on a random
 * shard. When each is due is kept in the store, so that a restart neither repeats nor skips.
 */
export class Auditor {
  constructor(
    private readonly core: RenterCore,
    /** Between two audits of a farmer, in milliseconds. */
    private readonly intervalMs: number,
  ) {}

  /** Audit every farmer that is due. @param all - audit all of them now, due or not */
  async run(signal: AbortSignal, all = false): Promise<AuditReport> {
    const { store, clock } = this.core;
    const report: AuditReport = { held: 0, failed: 0, unanswered: 0 };
    const now = clock.now();
    const due: string[] = [];
    for await (const farmer of store.holders()) {
      if (all || ((await store.auditSchedule(farmer))?.next ?? 0) <= now) due.push(farmer);
    }
    const work = async () => {
      for (let farmer = due.pop(); farmer !== undefined; farmer = due.pop()) {
        signal.throwIfAborted();
        const known = (await store.auditSchedule(farmer)) !== undefined;
        await this.schedule(farmer);
        // The first audits of many new farmers are spread, too.
        if (known || all) await this.auditFarmer(farmer, report, signal);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    return report;
  }

  private async schedule(farmer: string): Promise<void> {
    const { store, clock, random, directory } = this.core;
    const known = await directory.record(farmer);
    const suspected = known?.reputation.standing === 'suspected';
    const interval = this.intervalMs / (suspected ? SUSPECT_RATE : 1);
    const next = clock.now() + interval * (0.5 + randomFraction(random));
    await store.putAuditSchedule(farmer, { next });
  }

  /** Audit a farmer out of turn: it wants to be paid, and storage is paid when it was audited. */
  async auditNow(farmer: string, signal: AbortSignal): Promise<void> {
    await this.auditFarmer(farmer, { held: 0, failed: 0, unanswered: 0 }, signal);
  }

  private async auditFarmer(
    farmer: string,
    report: AuditReport,
    signal: AbortSignal,
  ): Promise<void> {
    const picked = await this.pick(farmer);
    if (picked === undefined) return;
    const { record, holding } = picked;
    const question = await this.questionFor(record, holding);
    const outcome = await ask(this.core, record.contract, question, signal);
    await this.conclude(farmer, record.contract, outcome);
    if (outcome.kind === 'held') report.held += 1;
    else if (outcome.kind === 'failed' || outcome.kind === 'refused') report.failed += 1;
    else report.unanswered += 1;
  }

  /** A random shard of a farmer's: contract hashes are spread evenly, so a random place will do. */
  private async pick(
    farmer: string,
  ): Promise<{ record: ContractRecord; holding: HoldingRecord } | undefined> {
    const { store, random } = this.core;
    for (const from of [toHex(random(32)), '']) {
      let looked = 0;
      for await (const { contract, holding } of store.holdings(farmer, from)) {
        const record = await store.contract(contract);
        if (record !== undefined && record.failed === undefined) return { record, holding };
        if ((looked += 1) > 1000) break;
      }
    }
    return undefined;
  }

  /** One of the precomputed challenges when its time has come, else a random chunk. */
  private async questionFor(
    { contract, challenged = 0 }: ContractRecord,
    { objectId, segment, shard }: HoldingRecord,
  ): Promise<AuditQuestion> {
    const { store, keys, clock, random } = this.core;
    const { terms } = contract;
    const share = (clock.now() - terms.begin) / (terms.end - terms.begin);
    if (challenged < terms.auditCount && share * terms.auditCount >= challenged + 0.5) {
      const record = await store.segment(objectId, segment);
      const placed = record?.shards.find(({ index }) => index === shard);
      if (record !== undefined && placed !== undefined) {
        const hash = contractHash(terms);
        // Written down before it is asked: an asked challenge is no secret any more.
        await store.changeContract(hash, (old) => ({ ...old, challenged: challenged + 1 }));
        const salt = placed.auditSalt ?? record.salt.slice(0, 2 * AUDIT_SALT_SIZE);
        const seed = {
          objectKey: keys.objectKey(fromHex(objectId)),
          auditSalt: fromHex(salt),
          hash: fromHex(terms.shardHash),
        };
        const challenge = toHex(challengeOf(seed, challenged));
        return { kind: 'challenge', index: challenged, challenge };
      }
    }
    const leaves = leafCount(terms.shardSize);
    return { kind: 'chunk', leaf: Math.floor(randomFraction(random) * leaves) };
  }

  private async conclude(farmer: string, contract: Contract, outcome: AuditOutcome): Promise<void> {
    const { store, directory, payments, clock, logger, settings } = this.core;
    const tuning = settings.reputation;
    const now = clock.now();
    const hash = contractHash(contract.terms);
    // Deleted while it was audited: then its farmer was right not to have it.
    const gone = (await store.contract(hash)) === undefined;
    const change = (next: (reputation: Reputation) => Reputation) =>
      directory.change(farmer, (record) => ({ ...record, reputation: next(record.reputation) }));
    if (outcome.kind === 'busy') return;
    if (outcome.kind === 'silent') {
      await change((reputation) => afterContact(reputation, false, now, tuning));
      return;
    }
    if (outcome.kind === 'held') {
      await change((known) =>
        afterAudit(afterContact(known, true, now, tuning), true, now, '', tuning),
      );
      // A farmer under suspicion is paid only for shards that were themselves audited.
      const { reputation } = (await directory.record(farmer)) ?? {};
      const { standing } = reputation ?? { standing: 'suspected' };
      const suspect = standing === 'suspected' || standing === 'disqualified';
      await payments.audited(farmer, outcome.time, suspect ? hash : undefined);
      return;
    }
    if (gone) return;
    const { reason } = outcome;
    logger.warn({ farmer, contract: hash, reason }, 'an audit failed');
    if (outcome.kind === 'failed') await store.putEvidence(hash, now, outcome.proof);
    await payments.failed(farmer, hash);
    await store.changeContract(hash, (record) => ({ ...record, failed: { at: now, reason } }));
    await change((known) =>
      afterAudit(afterContact(known, true, now, tuning), false, now, reason, tuning),
    );
  }
}
