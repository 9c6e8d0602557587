import type { Clock, Identity, KademliaNode } from '@granary/kad';
import { type Payee, paymentMethods } from '@granary/payments';
import {
  AUDIT_METHOD,
  FARMER_TERMS_METHOD,
  type FarmerTerms,
  GET_ROOT_METHOD,
  GET_SHARE_METHOD,
  LIST_CONTRACTS_METHOD,
  LIST_PAGE,
  PUT_ROOT_METHOD,
  PUT_SHARE_METHOD,
  RENEW_METHOD,
  REVOKE_READER_METHOD,
  type Renewal,
  type RootRecord,
  type ShareRecord,
  acceptRenewal,
  parseListQuery,
  parseRenewalProposal,
  parseRevocation,
  parseRootRecord,
  parseShareQuery,
  parseShareRecord,
  renewedContract,
} from '@granary/protocol';
import type { Admission } from './admission.js';
import type { AuditAnswers } from './audit-answers.js';
import { FarmerError } from './errors.js';
import { type FarmerPolicy, checkPolicy } from './farmer-policy.js';
import type { GrantBook } from './grant-book.js';
import type { SealedRecordBook } from './sealed-record-book.js';
import type { ShardStore } from './shard-store.js';

/** What the methods work with. */
export interface MethodParts {
  readonly identity: Identity;
  readonly store: ShardStore;
  readonly roots: SealedRecordBook<RootRecord>;
  readonly shares: SealedRecordBook<ShareRecord>;
  readonly grants: GrantBook;
  readonly audits: AuditAnswers;
  readonly payee: Payee;
  readonly admission: Admission;
  readonly policy: FarmerPolicy;
  readonly clock: Clock;
  readonly terms: () => FarmerTerms;
}

/**
 * Answer what renters ask a farmer by signed RPC: terms, audits, renewals, listings, payments, root records,
 * shares; and readers of shares for theirs.
 */
export function registerFarmerMethods(node: KademliaNode, parts: MethodParts): void {
  const { store, roots, shares, grants, audits, payee } = parts;
  const isKnown = (renter: string) => store.contractsOf(renter, '', 1).length > 0;
  node.registerMethod(FARMER_TERMS_METHOD, () => Promise.resolve(parts.terms()));
  node.registerMethod(AUDIT_METHOD, (params) => audits.answer(params));
  node.registerMethod(RENEW_METHOD, (params) => renew(parts, params));
  for (const [name, handler] of Object.entries(paymentMethods(payee))) {
    node.registerMethod(name, handler);
  }
  node.registerMethod(LIST_CONTRACTS_METHOD, (params, { sender }) =>
    Promise.resolve().then(() => list(store, sender.nodeId, parseListQuery(params).after)),
  );
  node.registerMethod(PUT_ROOT_METHOD, async (params, { sender }) => {
    const record = parseRootRecord(params, sender.nodeId);
    const kept = await roots.put(sender.nodeId, record, isKnown(sender.nodeId));
    // Its renter signed the other one, too: it need not take our word for it.
    return kept === record ? { kept: true } : { kept: false, record: kept };
  });
  // Sealed as it is, only its renter has a use for it.
  node.registerMethod(GET_ROOT_METHOD, (_params, { sender }) =>
    Promise.resolve({ record: roots.get(sender.nodeId) ?? null }),
  );
  node.registerMethod(PUT_SHARE_METHOD, async (params, { sender }) => {
    const record = parseShareRecord(params);
    const { share, page } = record.body;
    const kept = await shares.put(`${share}/${page}`, record, isKnown(sender.nodeId));
    return { kept: kept === record };
  });
  // Whoever has the link may ask. Nobody else knows its name, and to them it is sealed.
  node.registerMethod(GET_SHARE_METHOD, async (params) => {
    const { share, page } = parseShareQuery(params);
    return Promise.resolve({ record: shares.get(`${share}/${page}`) ?? null });
  });
  node.registerMethod(REVOKE_READER_METHOD, async (params, { sender }) => {
    const revocation = parseRevocation(params);
    // Without a contract here there is nothing that was granted.
    if (isKnown(sender.nodeId)) await grants.revoke(sender.nodeId, revocation);
    return {};
  });
}

function list(store: ShardStore, renter: string, after: string) {
  const hashes = store.contractsOf(renter, after, LIST_PAGE + 1);
  const contracts = hashes.slice(0, LIST_PAGE).map((hash) => ({
    state: store.entry(hash)?.state === 'stored' ? ('stored' as const) : ('reserved' as const),
    contract: store.contract(hash),
    renewal: store.renewal(hash) ?? null,
  }));
  return { contracts, more: hashes.length > LIST_PAGE };
}

async function renew(parts: MethodParts, params: unknown): Promise<Renewal> {
  const { store, admission, policy, payee, clock, identity } = parts;
  const hash = renewedContract(params);
  const contract = store.contract(hash);
  if (contract === undefined || store.entry(hash)?.state !== 'stored') {
    throw new FarmerError('FARMER_NOT_FOUND', 'there is no such shard here');
  }
  const proposal = parseRenewalProposal(params, contract);
  const last = store.renewal(hash);
  // The answer to the first time may have been lost.
  if (last !== undefined && JSON.stringify(last.body) === JSON.stringify(proposal.body))
    return last;
  const { terms } = contract;
  const { end, storagePrice, egressPrice } = proposal.body;
  admission.check(terms.renter);
  checkPolicy(policy, { ...terms, end, storagePrice, egressPrice }, clock.now());
  const renewal = acceptRenewal(identity, proposal);
  await store.renew(hash, renewal);
  await payee.renewed(terms.renter, renewal);
  return renewal;
}
