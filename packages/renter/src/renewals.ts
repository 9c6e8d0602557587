import { messageOf } from '@granary/kad';
import { RENEW_METHOD, contractHash, parseRenewal, proposeRenewal } from '@granary/protocol';
import { contractEnd } from './contract-end.js';
import type { ContractRecord, FarmerRecord } from './records.js';
import type { RenterCore } from './renter-core.js';

/** Renewals of one round. */
export interface RenewalReport {
  renewed: number;
  refused: number;
}

/** A contract is renewed when less than this share of its term is left. */
const RENEW_SHARE = 1 / 3;
const TIMEOUT_MS = 20_000;

function isAffordable({ settings, payments }: RenterCore, farmer: FarmerRecord): boolean {
  const { storagePrice, egressPrice } = farmer.terms;
  return (
    BigInt(storagePrice) <= settings.maxStoragePrice &&
    BigInt(egressPrice) <= settings.maxEgressPrice &&
    payments.canUse(farmer)
  );
}

/** Whether a contract should be renewed now. */
export function isDueForRenewal(record: ContractRecord, durationMs: number, now: number): boolean {
  return contractEnd(record) - now < durationMs * RENEW_SHARE;
}

/** When a contract counts as ended for repair, though it has not yet: nobody wanted to renew it. */
export function effectiveEnd(record: ContractRecord, durationMs: number): number {
  return contractEnd(record) - (durationMs * RENEW_SHARE) / 2;
}

/**
 * Renew a contract with its farmer, for the usual time from now on, at the farmer's price of today.
 * Both signatures are kept. The farmer answers the same when it is asked twice.
 */
export async function renew(
  core: RenterCore,
  record: ContractRecord,
  report: RenewalReport,
  signal: AbortSignal,
): Promise<void> {
  const { keys, store, directory, network, payments, settings, clock, logger } = core;
  const { contract } = record;
  const { farmer } = contract.terms;
  const known = await directory.record(farmer);
  const hash = contractHash(contract.terms);
  try {
    if (known !== undefined && !isAffordable(core, known)) {
      throw new Error('its price is more than is to be paid, or it can not be paid');
    }
    const proposal = proposeRenewal(keys.identity, {
      contract: hash,
      previousEnd: contractEnd(record),
      end: clock.now() + settings.durationMs,
      storagePrice: known?.terms.storagePrice ?? contract.terms.storagePrice,
      egressPrice: known?.terms.egressPrice ?? contract.terms.egressPrice,
    });
    const contact = await directory.contactOf(farmer);
    const options = { signal, timeoutMs: TIMEOUT_MS };
    const answer = await network.node.call(contact, RENEW_METHOD, proposal, options);
    const renewal = parseRenewal(answer, contract);
    // It may be one that we proposed before and never heard of again: it carries our signature, too.
    if (renewal.body.previousEnd !== contractEnd(record)) {
      throw new Error('the farmer answered with another renewal than it was asked for');
    }
    await store.changeContract(hash, (old) => ({ ...old, renewal }));
    await payments.renewed(farmer, renewal);
    report.renewed += 1;
  } catch (error) {
    signal.throwIfAborted();
    logger.info({ farmer, contract: hash, error: messageOf(error) }, 'a contract was not renewed');
    report.refused += 1;
  }
}
