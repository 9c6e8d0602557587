// What runs in browsers: the whole public face there.
export { PaymentError, type PaymentErrorCode } from './errors.js';
export {
  FINE_PARTS,
  formatFine,
  parseUnits,
  storageCharge,
  trafficCharge,
  wholeUnits,
} from './amounts.js';
export { owed, owedFine, type Account, type Purpose } from './account.js';
export {
  accruePosition,
  egressPriceAt,
  extendPosition,
  openPosition,
  type Period,
  type Position,
} from './position.js';
export { isFree } from './free-terms.js';
export { payable, withinCredit, type Exposure, type Offer } from './credit.js';
export { promisedIn, type Channel, type ChannelState, type SettlementKind } from './channel.js';
export { type DayRow } from './day.js';
export type { RowWriter, Rows } from './rows.js';
export { IndexedDbRows } from './indexed-db-rows.js';
export { PaymentBook, type BookStep, type PendingRow, type ReceiptRow } from './payment-book.js';
export type { ChannelParties, ChannelParty, ChannelView, Funds, Settlement } from './settlement.js';
export { ledgerSettlement } from './ledger-settlement.js';
export { chainCoinBalance, deployChannelsContract, evmSettlement } from './evm-loader.js';
export type { EvmOptions } from './evm-settlement.js';
export { evmCurrencyName, parseEvmCurrency } from './evm-currency.js';
export {
  Payee,
  type PayeeParts,
  type SignedTransfer,
  type StoredContract,
  type StoredContracts,
} from './payee.js';
export {
  Payer,
  defaultPayerLimits,
  type PayerLimits,
  type PayerParts,
  type PaymentResult,
} from './payer.js';
export { csvLine } from './csv.js';
export { daysAsCsv, summarise, type AccountSummary } from './summary.js';
export { paymentMethods } from './payment-methods.js';
export { TunnelCharges, type TunnelChargesParts } from './tunnel-charges.js';
export { TunnelSpending, type TunnelSpendingParts } from './tunnel-spending.js';
export type { TunnelCount, TunnelRow } from './tunnel-row.js';
