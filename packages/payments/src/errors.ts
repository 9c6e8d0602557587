/** The stable codes of {@link PaymentError}. */
export type PaymentErrorCode =
  | 'PAYMENT_AMOUNT'
  | 'PAYMENT_BOOK'
  | 'PAYMENT_CHANNEL'
  | 'PAYMENT_BAD_VOUCHER'
  | 'PAYMENT_DEPOSIT'
  | 'PAYMENT_CURRENCY'
  | 'PAYMENT_BUDGET'
  | 'PAYMENT_DISPUTED'
  | 'PAYMENT_UNPAID'
  | 'PAYMENT_CHAIN'
  | 'PAYMENT_CHAIN_UNREACHABLE'
  | 'PAYMENT_FUNDS';

/** What could not be paid, and what to do about it. */
export class PaymentError extends Error {
  override readonly name = 'PaymentError';

  constructor(
    readonly code: PaymentErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
