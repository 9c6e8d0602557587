import type { ContractRecord } from './records.js';

/** When a contract ends, renewals included, in milliseconds since the epoch. */
export function contractEnd({ contract, renewal }: ContractRecord): number {
  return renewal?.body.end ?? contract.terms.end;
}
