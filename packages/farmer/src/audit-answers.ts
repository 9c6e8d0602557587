import { createCipheriv, createHash } from 'node:crypto';
import { type Clock, type Identity, type Logger, messageOf } from '@granary/kad';
import type { Payee } from '@granary/payments';
import {
  AUDIT_NONCE,
  type AuditAnswer,
  type AuditQuestion,
  type AuditRequest,
  type AuditResult,
  type Contract,
  LEAF_SIZE,
  auditAnswer,
  auditPathOf,
  checkAuditRequest,
  contractHash,
  equalBytes,
  fromHex,
  hashSpan,
  parseAuditRequest,
  parseContract,
  signAuditAnswer,
  toHex,
} from '@granary/protocol';
import { FarmerError } from './errors.js';
import type { StoredShard } from './shard-files.js';
import type { ShardStore } from './shard-store.js';

/** Whole shards hashed at one time. */
const MAX_HASHING = 2;
/** Answers to precomputed challenges that are remembered: asking again costs nothing. */
const MAX_REMEMBERED = 1024;
const READ_SIZE = 1024 * 1024;

/** Answers audits, honestly: what can't be shown any more is admitted to be lost. */
export class AuditAnswers {
  private readonly remembered = new Map<string, AuditResult>();
  private hashing = 0;
  /** Audits answered, and those in which a loss had to be admitted. */
  readonly counters = { answered: 0, lost: 0 };

  constructor(
    private readonly identity: Identity,
    private readonly store: ShardStore,
    private readonly payee: Payee,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /**
   * Answer a question about a contract. The contract comes along, so that even a farmer that has
   * lost its book can say so.
   *
   * @throws ProtocolError for a bad request; FarmerError FARMER_FORBIDDEN when the contract is not
   * with this farmer, FARMER_GONE when the renter had it deleted, FARMER_BUSY, FARMER_DISK.
   */
  async answer(params: unknown): Promise<AuditAnswer> {
    const { request: requestDocument, contract: contractDocument } = (params ?? {}) as Record<
      string,
      unknown
    >;
    const request = parseAuditRequest(requestDocument);
    const contract = parseContract(contractDocument);
    checkAuditRequest(request, contract, this.clock.now());
    if (contract.terms.farmer !== this.identity.nodeId) {
      throw new FarmerError('FARMER_FORBIDDEN', 'the contract is with another farmer');
    }
    const hash = contractHash(contract.terms);
    const state = this.store.entry(hash)?.state;
    if (state === 'deleted') {
      throw new FarmerError('FARMER_GONE', 'the renter had this shard deleted');
    }
    if (state === 'reserved')
      throw new FarmerError('FARMER_NOT_FOUND', 'the shard is not complete');
    const result = state === 'stored' ? await this.find(hash, contract, request) : LOST;
    this.counters.answered += 1;
    if (result.kind === 'lost') this.counters.lost += 1;
    const time = this.clock.now();
    await this.charge(contract.terms.renter, hash, result, time);
    return signAuditAnswer(this.identity, request, result, time);
  }

  /** Storage is owed up to the time of a passed audit; nothing more for what is lost. */
  private async charge(renter: string, hash: string, result: AuditResult, time: number) {
    try {
      if (result.kind === 'lost') {
        await Promise.all([this.payee.ended(renter, hash, 'failed'), this.payee.flush()]);
      } else await this.payee.audited(renter, time);
    } catch (error) {
      // The next audit charges for this time, too.
      this.logger.error({ error: messageOf(error) }, 'an audit could not be charged for');
    }
  }

  private async find(
    hash: string,
    contract: Contract,
    request: AuditRequest,
  ): Promise<AuditResult> {
    let shard: StoredShard;
    try {
      shard = await this.store.openShard(hash);
    } catch (error) {
      if (error instanceof FarmerError && error.code === 'FARMER_NOT_FOUND') return LOST;
      throw error;
    }
    try {
      const { question } = request.body;
      return question.kind === 'chunk'
        ? await chunkOf(shard, contract, question.leaf)
        : await this.challenge(shard, hash, contract.terms.version, question);
    } finally {
      await shard.close();
    }
  }

  private async challenge(
    shard: StoredShard,
    hash: string,
    version: Contract['terms']['version'],
    { index, challenge }: Extract<AuditQuestion, { kind: 'challenge' }>,
  ): Promise<AuditResult> {
    const leaves = this.store.auditLeaves(hash);
    if (leaves === undefined || this.store.entry(hash)?.damaged === true) return LOST;
    const key = `${hash}/${index}/${challenge}`;
    const known = this.remembered.get(key);
    if (known !== undefined) return known;
    if (this.hashing >= MAX_HASHING) {
      throw new FarmerError('FARMER_BUSY', 'too many audits at one time: try again later');
    }
    this.hashing += 1;
    try {
      const whole = version === 1 ? hashBehind(challenge) : codeUnder(challenge);
      for (let at = 0; at < shard.size; at += READ_SIZE) {
        const bytes = Buffer.allocUnsafe(Math.min(READ_SIZE, shard.size - at));
        await shard.readFully(bytes, at);
        whole.update(bytes);
      }
      const path = toHex(auditPathOf(leaves, index));
      const result = { kind: 'challenge', answer: toHex(whole.answer()), path } as const;
      if (this.remembered.size >= MAX_REMEMBERED) {
        this.remembered.delete(this.remembered.keys().next().value!);
      }
      this.remembered.set(key, result);
      return result;
    } finally {
      this.hashing -= 1;
    }
  }
}

/** Takes a whole shard, piece by piece, and answers a challenge about it. */
interface WholeShard {
  update(bytes: Uint8Array): void;
  answer(): Uint8Array;
}

/** The answers in contracts of version 2; see {@link auditAnswer}. */
function codeUnder(challenge: string): WholeShard {
  const key = fromHex(challenge);
  const cipher = createCipheriv('aes-256-gcm', key, AUDIT_NONCE);
  return {
    update: (bytes) => cipher.setAAD(bytes),
    answer() {
      cipher.final();
      return auditAnswer(key, cipher.getAuthTag());
    },
  };
}

/** The answers in contracts of version 1: H(challenge ‖ shard). */
function hashBehind(challenge: string): WholeShard {
  const hasher = createHash('sha256').update(fromHex(challenge));
  return { update: (bytes) => hasher.update(bytes), answer: () => hasher.digest() };
}

const LOST: AuditResult = { kind: 'lost' };

async function chunkOf(
  shard: StoredShard,
  { terms }: Contract,
  leaf: number,
): Promise<AuditResult> {
  try {
    const tree = await shard.tree();
    const { nodes, siblings } = tree.rangeProof(0, leaf, leaf);
    const bytes = Buffer.alloc(Math.min(LEAF_SIZE, terms.shardSize - leaf * LEAF_SIZE));
    await shard.readFully(bytes, leaf * LEAF_SIZE);
    const whole =
      equalBytes(hashSpan(bytes), nodes) && equalBytes(tree.root(), fromHex(terms.shardHash));
    if (!whole) return LOST;
    return { kind: 'chunk', bytes: bytes.toString('base64'), siblings: toHex(siblings) };
  } catch (error) {
    // A file that is cut short; a disk that failed once may work again.
    if (error instanceof FarmerError && /cut short/.test(error.message)) return LOST;
    throw error;
  }
}
