import type { MethodHandler } from '@granary/kad';
import { ACCOUNT_METHOD, PAY_METHOD, STATEMENT_METHOD } from '@granary/protocol';
import type { Payee } from './payee.js';

/** What a node that is paid answers by signed RPC, by method. */
export function paymentMethods(payee: Payee): Readonly<Record<string, MethodHandler>> {
  return {
    [ACCOUNT_METHOD]: (params, context) => payee.answerAccount(params, context),
    [PAY_METHOD]: (params, context) => payee.answerPay(params, context),
    [STATEMENT_METHOD]: (params, context) => payee.answerStatement(params, context),
  };
}
