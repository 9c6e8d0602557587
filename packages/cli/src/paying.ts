import type { TunnelPaying } from '@granary/farmer';
import type { Identity } from '@granary/kad';
import type { ProxiedDialer } from '@granary/nat';
import type { PayerLimits, Settlement } from '@granary/payments';
import type { RenterSettings } from '@granary/renter';
import { CliError } from './cli-error.js';
import type { Config } from './config.js';
import { chainFetch } from './proxy.js';
import { parseDuration } from './units.js';

/** For one question to a chain's node behind a proxy, where a connection alone may take ten seconds. */
const PROXIED_TIMEOUT_MS = 40_000;

/** What of the configuration names a chain. */
export type ChainConfig = Pick<
  Config,
  'rpc' | 'chainId' | 'contract' | 'token' | 'confirmations' | 'challenge'
>;

/** An amount of whole units. @throws CliError CLI_USAGE naming where it stood. */
export function parseAmount(where: string, text: string): bigint {
  if (/^(0|[1-9][0-9]{0,38})$/.test(text)) return BigInt(text);
  throw new CliError(
    'CLI_USAGE',
    `${where} ${text}: an amount is a whole number of the smallest unit`,
  );
}

/**
 * The settlement on a chain that the configuration names; undefined when it names none.
 *
 * @param dialer - how its node is reached; in the usual way when not given
 */
export async function chainSettlement(
  config: ChainConfig,
  identity: Identity,
  dialer: ProxiedDialer | undefined,
): Promise<Settlement | undefined> {
  const { rpc, contract, chainId, confirmations, challenge } = config;
  if (rpc === undefined && contract === undefined) return undefined;
  if (rpc === undefined || contract === undefined) {
    throw new CliError(
      'CLI_USAGE',
      'paying on a chain takes both: the address of a node (rpc) and of the contract (contract)',
    );
  }
  const { evmSettlement } = await import('@granary/payments');
  const fetch = await chainFetch(rpc, dialer);
  return evmSettlement({
    rpcUrl: rpc,
    contract,
    token: config.token ?? 'native',
    identity,
    ...(fetch !== undefined && { fetch }),
    ...(dialer !== undefined && { timeoutMs: PROXIED_TIMEOUT_MS }),
    ...(chainId !== undefined && { chainId }),
    ...(confirmations !== undefined && { confirmations }),
    ...(challenge !== undefined && { challengeMs: parseDuration(challenge) }),
  });
}

const amount = (name: string, text: string | undefined, none: bigint) =>
  text === undefined ? none : parseAmount(name, text);

/** What a node may promise, from the configuration. @throws CliError CLI_USAGE. */
export function payerLimits({ budget, trust, advance, deposit }: Config): PayerLimits {
  return {
    budget: budget === undefined ? null : parseAmount('budget', budget),
    trust: amount('trust', trust, 0n),
    advance: amount('advance', advance, 0n),
    deposit: amount('deposit', deposit, 1_000_000n),
  };
}

/** What a farmer pays for tunnels, from the configuration. @throws CliError CLI_USAGE. */
export function tunnelPaying(config: Config): TunnelPaying {
  const maxPrice = amount('maxTunnelPrice', config.maxTunnelPrice, 0n);
  return { maxPrice, limits: payerLimits(config) };
}

/** What a renter may pay, from the configuration. */
export function payingSettings(config: Config): Partial<RenterSettings> {
  const { maxPrice, maxEgressPrice } = config;
  return {
    maxStoragePrice: amount('maxPrice', maxPrice, 0n),
    maxEgressPrice: amount('maxEgressPrice', maxEgressPrice, 0n),
    paying: payerLimits(config),
  };
}
