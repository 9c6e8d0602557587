export { ProtocolError, type ProtocolErrorCode } from './errors.js';
export { canonicalBytes, documentDigest } from './canonical.js';
export { fromHex, toHex } from './hex.js';
export {
  HASH_SIZE,
  LEAF_SIZE,
  ShardHasher,
  ShardTree,
  equalBytes,
  hashSpan,
  nodeOfLeaves,
  leafCount,
  levelCount,
  nodeSpan,
  siblingCount,
  verifyRangeProof,
  type RangeProof,
} from './shard-tree.js';
export { frameSizeAt } from './frame-size.js';
export {
  MAX_SHARD_SIZE,
  acceptContract,
  completeContract,
  contractHash,
  parseContract,
  parseProposal,
  proposeContract,
  type Contract,
  type ContractProposal,
  type ContractTerms,
} from './contract.js';
export {
  MAX_TOKEN_LIFETIME,
  parseToken,
  signToken,
  type TransferDirection,
  type TransferToken,
  type TransferTokenBody,
} from './token.js';
export {
  checkCountersignature,
  countersignReceipt,
  parseAnyReceipt,
  parseReceipt,
  parseReceiptBody,
  signReceipt,
  signReceiptBody,
  type Receipt,
  type ReceiptBody,
} from './receipt.js';
export {
  MAX_CONTROL_FRAME,
  MAX_DATA_FRAME,
  MIN_DATA_FRAME,
  STREAM_LEVEL,
  TRANSFER_PATH,
  TRANSFER_PROVED_SUBPROTOCOL,
  TRANSFER_SUBPROTOCOL,
  USUAL_DATA_FRAME,
  parseTransferAnswer,
  parseTransferRequest,
  type TransferAnswer,
  type TransferRequest,
} from './transfer-messages.js';
export {
  FARMER_TERMS_METHOD,
  parseFarmerTerms,
  parsePaymentTerms,
  type FarmerTerms,
  type PaymentTerms,
} from './farmer-terms.js';
export { evmAddressOf } from './evm-address.js';
export {
  LEDGER_DOMAIN,
  checkVoucher,
  parseVoucher,
  signVoucher,
  voucherDigest,
  type Voucher,
  type VoucherDomain,
} from './voucher.js';
export {
  ACCOUNT_METHOD,
  PAY_METHOD,
  RECEIPT_PAGE,
  STATEMENT_METHOD,
  acceptStatement,
  parseAccountAnswer,
  parseAccountRequest,
  parseClaim,
  parsePayRequest,
  parseStatement,
  parseStatementProposal,
  payRequest,
  proposeStatement,
  signClaim,
  type AccountAnswer,
  type AccountRequest,
  type PayRequest,
  type PaymentClaim,
  type PaymentClaimBody,
  type Statement,
  type StatementBody,
  type StatementProposal,
} from './payment-documents.js';
export {
  countersignTunnelReceipt,
  parseSignedTunnelReceipt,
  parseTunnelBill,
  parseTunnelReceipt,
  signTunnelBill,
  signTunnelReceipt,
  type SignedTunnelReceipt,
  type TunnelBill,
  type TunnelParties,
  type TunnelReceipt,
  type TunnelReceiptBody,
} from './tunnel-receipt.js';
export { checkScheme, formatScheme, parseScheme, type RedundancyScheme } from './scheme.js';
export { MAX_SEALED_SIZE } from './sealed-record.js';
export {
  MAX_SEGMENT_SIZE,
  layoutFields,
  parseManifest,
  parseSegmentRecord,
  type Manifest,
  type SegmentRecord,
  type ShardRecord,
} from './manifest.js';
export {
  AUDIT_NONCE,
  MAX_AUDITS,
  auditAnswer,
  auditLeaf,
  auditPathOf,
  auditRootOf,
  verifyAuditAnswer,
} from './audit-tree.js';
export {
  AUDIT_METHOD,
  auditRequestHash,
  checkAuditRequest,
  judgeAudit,
  parseAuditAnswer,
  parseAuditRequest,
  provesPossession,
  signAuditAnswer,
  signAuditRequest,
  type AuditAnswer,
  type AuditEvidence,
  type AuditQuestion,
  type AuditRequest,
  type AuditRequestBody,
  type AuditResult,
} from './audit.js';
export {
  RENEW_METHOD,
  acceptRenewal,
  parseRenewal,
  parseRenewalProposal,
  proposeRenewal,
  renewedContract,
  type Renewal,
  type RenewalProposal,
} from './renewal.js';
export {
  LIST_CONTRACTS_METHOD,
  LIST_PAGE,
  parseContractListing,
  parseListQuery,
  type ListedContract,
} from './contract-listing.js';
export {
  GET_ROOT_METHOD,
  PUT_ROOT_METHOD,
  parseRootRecord,
  rootKeyOf,
  signRootRecord,
  type RootRecord,
} from './root-record.js';
export {
  MAX_GRANT_LIFETIME,
  REVOKE_READER_METHOD,
  parseReadGrant,
  parseRevocation,
  readerOf,
  signReadGrant,
  type ReadGrant,
  type ReadGrantBody,
  type ReaderRevocation,
} from './read-grant.js';
export {
  GET_SHARE_METHOD,
  MAX_SHARE_PAGES,
  PUT_SHARE_METHOD,
  parseShareQuery,
  parseShareRecord,
  shareKeyOf,
  signShareRecord,
  type ShareQuery,
  type ShareRecord,
} from './share-record.js';
export { MAX_LINK_ADDRESSES } from './secret-link.js';
export { formatShareLink, isShareLink, parseShareLink, type ShareLink } from './share-link.js';
export {
  formatAccessGrant,
  isAccessGrant,
  parseAccessGrant,
  type AccessGrant,
} from './access-grant.js';
export {
  MAX_OFFER_MS,
  MAX_RELAYS,
  OFFERS_TOPIC,
  encodeOffer,
  encodeOfferAnswer,
  parseOffer,
  parseOfferAnswer,
  type Offer,
  type OfferAnswer,
} from './offer.js';
