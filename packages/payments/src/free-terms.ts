import type { ContractTerms } from '@granary/protocol';

/** Whether nothing is ever owed under a contract: it is in no book of payments. */
export function isFree({
  storagePrice,
  egressPrice,
}: Pick<ContractTerms, 'storagePrice' | 'egressPrice'>): boolean {
  return storagePrice === '0' && egressPrice === '0';
}
