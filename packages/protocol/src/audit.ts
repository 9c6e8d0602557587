import { type Identity, fromBase64 } from '@granary/kad';
import { z } from 'zod';
import { verifyAuditAnswer } from './audit-tree.js';
import { documentDigest } from './canonical.js';
import { type Contract, contractHash, parseContract } from './contract.js';
import { ProtocolError } from './errors.js';
import { hash32, nonce16, parseWith, signatureHex, timestamp } from './fields.js';
import { fromHex, toHex } from './hex.js';
import { HASH_SIZE, LEAF_SIZE, hashSpan, leafCount, verifyRangeProof } from './shard-tree.js';
import { checkDocument, signDocument } from './signed.js';

/** The signed RPC by which a farmer is audited. */
export const AUDIT_METHOD = 'AUDIT';

const questionSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('chunk'), leaf: z.number().int().min(0) }),
  z.strictObject({
    kind: z.literal('challenge'),
    index: z.number().int().min(0).max(65_535),
    challenge: hash32,
  }),
]);
/**
 * What an audit asks: `chunk` for one 4 KiB leaf of the shard tree with its path, as often as the
 * auditor likes; `challenge` for one of the answers that were precomputed when the contract was made,
 * which take the whole shard to give (`auditAnswer`).
 */
export type AuditQuestion = z.infer<typeof questionSchema>;

const requestBodySchema = z.strictObject({
  contract: hash32,
  renter: hash32,
  farmer: hash32,
  question: questionSchema,
  nonce: nonce16,
  expires: timestamp,
});
const requestSchema = z.strictObject({ body: requestBodySchema, signature: signatureHex });
/**
 * The renter's signed leave to put one question about one contract. Whoever carries it may ask, so
 * that a renter can hand audits to others.
 */
export type AuditRequest = z.infer<typeof requestSchema>;
/** The signed part of an {@link AuditRequest}. */
export type AuditRequestBody = z.infer<typeof requestBodySchema>;

/** The most base64 characters of a chunk. */
const MAX_CHUNK_TEXT = Math.ceil(LEAF_SIZE / 3) * 4;

const resultSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('chunk'),
    bytes: z.string().max(MAX_CHUNK_TEXT),
    siblings: z.string().max(64 * 64),
  }),
  z.strictObject({ kind: z.literal('challenge'), answer: hash32, path: z.string().max(64 * 16) }),
  z.strictObject({ kind: z.literal('lost') }),
]);
const answerBodySchema = z.strictObject({
  request: hash32,
  contract: hash32,
  time: timestamp,
  result: resultSchema,
});
const answerSchema = z.strictObject({ body: answerBodySchema, signature: signatureHex });
/**
 * A farmer's signed answer; `lost` admits that the shard is not there any more. It names the hash
 * of the request, so that an old answer does not fit a new question.
 */
export type AuditAnswer = z.infer<typeof answerSchema>;
/** What an {@link AuditAnswer} says. */
export type AuditResult = z.infer<typeof resultSchema>;

const REQUEST = 'audit request';
const ANSWER = 'audit answer';

/** Sign a question as the renter. */
export function signAuditRequest(renter: Identity, body: AuditRequestBody): AuditRequest {
  return { body, signature: signDocument(renter, REQUEST, body) };
}

/** The name of a request in answers: the hash of its body, in hex. */
export function auditRequestHash({ body }: AuditRequest): string {
  return toHex(documentDigest(REQUEST, body));
}

/** Parse a request; nothing is checked but its form. @throws ProtocolError PROTOCOL_MALFORMED. */
export function parseAuditRequest(value: unknown): AuditRequest {
  return parseWith(requestSchema, value, REQUEST);
}

/**
 * Check that a request is the renter's of this contract and may still be asked.
 *
 * @param now - milliseconds since the epoch
 * @throws ProtocolError PROTOCOL_BAD_SIGNATURE, PROTOCOL_EXPIRED or PROTOCOL_RANGE.
 */
export function checkAuditRequest(request: AuditRequest, contract: Contract, now: number): void {
  const { body, signature } = request;
  const { terms } = contract;
  if (
    body.contract !== contractHash(terms) ||
    body.renter !== terms.renter ||
    body.farmer !== terms.farmer
  ) {
    throw new ProtocolError('PROTOCOL_BAD_SIGNATURE', `${REQUEST}: it is about another contract`);
  }
  if (body.expires <= now)
    throw new ProtocolError('PROTOCOL_EXPIRED', `${REQUEST}: it has expired`);
  checkDocument(REQUEST, body, { nodeId: terms.renter, publicKey: terms.renterKey }, signature);
  const { question } = body;
  const exists =
    question.kind === 'chunk'
      ? question.leaf < leafCount(terms.shardSize)
      : question.index < terms.auditCount;
  if (!exists) {
    throw new ProtocolError('PROTOCOL_RANGE', `${REQUEST}: the shard has no such chunk or audit`);
  }
}

/** Answer a request as the farmer. */
export function signAuditAnswer(
  farmer: Identity,
  request: AuditRequest,
  result: AuditResult,
  time: number,
): AuditAnswer {
  const { contract } = request.body;
  const body = { request: auditRequestHash(request), contract, time, result };
  return { body, signature: signDocument(farmer, ANSWER, body) };
}

/**
 * Parse an answer and check that the contract's farmer signed it for this very request.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE: nothing can be concluded from
 * such an answer but that whoever gave it does not keep to the protocol.
 */
export function parseAuditAnswer(
  value: unknown,
  request: AuditRequest,
  contract: Contract,
): AuditAnswer {
  const answer = parseWith(answerSchema, value, ANSWER);
  const { farmer, farmerKey } = contract.terms;
  if (answer.body.request !== auditRequestHash(request)) {
    throw new ProtocolError('PROTOCOL_BAD_SIGNATURE', `${ANSWER}: it answers another question`);
  }
  if (answer.body.contract !== request.body.contract) {
    throw new ProtocolError('PROTOCOL_BAD_SIGNATURE', `${ANSWER}: it is about another contract`);
  }
  checkDocument(ANSWER, answer.body, { nodeId: farmer, publicKey: farmerKey }, answer.signature);
  return answer;
}

/** Whether an answer that was checked by {@link parseAuditAnswer} shows that the shard is held. */
export function provesPossession(
  answer: AuditAnswer,
  request: AuditRequest,
  contract: Contract,
): boolean {
  const { terms } = contract;
  const { question } = request.body;
  const { result } = answer.body;
  if (question.kind === 'chunk' && result.kind === 'chunk') {
    const bytes = bytesOf(result.bytes);
    if (bytes === undefined) return false;
    const expected = Math.min(LEAF_SIZE, terms.shardSize - question.leaf * LEAF_SIZE);
    if (bytes.length !== expected || !/^([0-9a-f]{64})*$/.test(result.siblings)) return false;
    const proof = { nodes: hashSpan(bytes), siblings: fromHex(result.siblings) };
    return verifyRangeProof(fromHex(terms.shardHash), terms.shardSize, 0, question.leaf, proof);
  }
  if (question.kind === 'challenge' && result.kind === 'challenge' && terms.auditRoot !== null) {
    if (result.path.length % (2 * HASH_SIZE) !== 0 || !/^[0-9a-f]*$/.test(result.path))
      return false;
    return verifyAuditAnswer(
      fromHex(terms.auditRoot),
      terms.auditCount,
      question.index,
      fromHex(result.answer),
      fromHex(result.path),
    );
  }
  return false;
}

function bytesOf(base64: string): Uint8Array | undefined {
  try {
    return fromBase64(base64);
  } catch {
    return undefined;
  }
}

/** All that it takes to judge an audit: the contract, the question, the answer. */
export interface AuditEvidence {
  readonly contract: unknown;
  readonly request: unknown;
  readonly answer: unknown;
}

/**
 * Judge an audit from its signed documents, as anybody can: `held` when the farmer has shown that
 * it holds the shard, `failed` when the farmer's own signature stands under an answer that is wrong
 * or admits the loss.
 *
 * @throws ProtocolError when a document is not what it claims to be: then it proves nothing, and
 * least of all against the farmer.
 */
export function judgeAudit(evidence: AuditEvidence): 'held' | 'failed' {
  const contract = parseContract(evidence.contract);
  const request = parseAuditRequest(evidence.request);
  // The time has passed; what counts is that the renter did ask.
  checkAuditRequest(request, contract, 0);
  const answer = parseAuditAnswer(evidence.answer, request, contract);
  return provesPossession(answer, request, contract) ? 'held' : 'failed';
}
