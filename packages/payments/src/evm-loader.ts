import type { Identity } from '@granary/kad';
import type { EvmOptions } from './evm-settlement.js';
import type { Settlement } from './settlement.js';

// The library that speaks to chains is large; who pays by ledger never loads it.

/** Open a settlement on an EVM chain. See {@link EvmOptions}. @throws PaymentError. */
export async function evmSettlement(options: EvmOptions): Promise<Settlement> {
  const { EvmSettlement } = await import('./evm-settlement.js');
  return EvmSettlement.open(options);
}

/** Put the channels contract on a chain; its address. @throws PaymentError. */
export async function deployChannelsContract(
  rpcUrl: string,
  identity: Identity,
  options: Pick<EvmOptions, 'fetch' | 'timeoutMs' | 'pollMs'> = {},
): Promise<string> {
  const { deployChannels } = await import('./evm-settlement.js');
  return deployChannels(rpcUrl, identity, options);
}

/** How much of a chain's coin an identity has, in its smallest unit. @throws PaymentError. */
export async function chainCoinBalance(rpcUrl: string, identity: Identity): Promise<bigint> {
  const { coinBalance } = await import('./evm-settlement.js');
  return coinBalance(rpcUrl, identity);
}
