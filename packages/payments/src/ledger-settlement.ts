import { LEDGER_DOMAIN, toHex } from '@granary/protocol';
import { sha256 } from '@granary/kad';
import type { ChannelParties, Settlement } from './settlement.js';

const encoder = new TextEncoder();

/**
 * Settlement between nodes that trust each other: vouchers are the balance, both sides sign statements
 * of account, and money changes hands outside. One channel for each pair and currency, without a
 * deposit; nothing to install.
 *
 * @param account - the node's own ID
 */
export function ledgerSettlement(currency: string, account: string): Settlement {
  const nothing = () => Promise.resolve();
  const view = {
    deposit: null,
    latestDeposit: null,
    settled: 0n,
    closesAt: null,
    challengeMs: 0,
    closed: false,
  };
  return {
    kind: 'ledger',
    currency,
    domain: LEDGER_DOMAIN,
    channelId: ({ payer, payee, currency: unit }: ChannelParties) =>
      toHex(
        sha256(encoder.encode(`granary/1 ledger channel\0${payer.nodeId}${payee.nodeId}${unit}`)),
      ),
    describe: (id) => `ledger:${id}`,
    look: () => Promise.resolve(view),
    open: nothing,
    topUp: nothing,
    redeem: nothing,
    requestClose: nothing,
    release: nothing,
    withdraw: nothing,
    funds: () => Promise.resolve({ account, balance: null, gas: null }),
    close: nothing,
  };
}
