import { PaymentError } from './errors.js';

/** A token on a chain, or the chain's own coin. */
export interface EvmCurrency {
  readonly chainId: number;
  /** `0x` and 40 lower-case hex digits; all zeros for the native coin. */
  readonly token: `0x${string}`;
}

/** How contracts with the native coin name its token. */
export const NATIVE_TOKEN: `0x${string}` = `0x${'0'.repeat(40)}`;

/**
 * The name of a currency on an EVM chain, as contracts carry it (CAIP-19): `eip155:1/slip44:60` for the
 * native coin, `eip155:1/erc20:0x…` for a token.
 */
export function evmCurrencyName({ chainId, token }: EvmCurrency): string {
  const asset = token === NATIVE_TOKEN ? 'slip44:60' : `erc20:${token}`;
  return `eip155:${chainId}/${asset}`;
}

/** The currency of such a name. @throws PaymentError PAYMENT_CURRENCY. */
export function parseEvmCurrency(name: string): EvmCurrency {
  const match = /^eip155:([1-9][0-9]{0,14})\/(?:slip44:60|erc20:(0x[0-9a-f]{40}))$/.exec(name);
  if (match === null) {
    throw new PaymentError('PAYMENT_CURRENCY', `"${name}" is no currency of an EVM chain`);
  }
  return {
    chainId: Number(match[1]),
    token: (match[2] as `0x${string}` | undefined) ?? NATIVE_TOKEN,
  };
}

/** What the other side needs to find a channel: chain, contract and ID in one line. */
export function evmDescriptor(chainId: number, contract: string, id: string): string {
  return `eip155:${chainId}:${contract}:${id}`;
}
