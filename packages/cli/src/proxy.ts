import type { ProxiedDialer } from '@granary/nat';
import { CliError } from './cli-error.js';
import type { Config } from './config.js';

/** What to give as a proxy in order to have none, whatever stands in a place of lower precedence. */
const NO_PROXY = 'none';

/**
 * The way out that the configuration asks for; undefined when it asks for no proxy, and connections
 * go out from this machine itself.
 *
 * @throws NatError NAT_BAD_SETTING; CliError CLI_USAGE when a bootstrap address can't be reached
 * through a proxy.
 */
export async function dialerOf({
  proxy,
  bootstrap = [],
}: Pick<Config, 'proxy' | 'bootstrap'>): Promise<ProxiedDialer | undefined> {
  if (proxy === undefined || proxy === NO_PROXY) return undefined;
  const { parseProxy, proxiedDialer } = await import('@granary/nat');
  const { parseAddress } = await import('@granary/kad');
  const dialer = proxiedDialer(parseProxy(proxy));
  for (const address of bootstrap) {
    if (dialer.dials(parseAddress(address).host)) continue;
    throw new CliError(
      'CLI_USAGE',
      `${address} is this machine, which is not on the other side of a proxy: name another node, or use --proxy none`,
    );
  }
  return dialer;
}

/**
 * How the node of a chain is asked; undefined for the usual way. Through the proxy when there is one,
 * but for a node that the user runs on this very machine, named by its IP address: what goes there
 * leaves it on no wire, and no proxy would take it there.
 *
 * @throws CliError CLI_USAGE.
 */
export async function chainFetch(
  rpc: string,
  dialer: ProxiedDialer | undefined,
): Promise<typeof fetch | undefined> {
  if (dialer === undefined || !URL.canParse(rpc)) return undefined;
  const { dialedFetch, isOwnMachine, ownMachineFetch } = await import('@granary/nat');
  const host = new URL(rpc).hostname.replace(/^\[(.*)\]$/, '$1');
  if (!isOwnMachine(host)) return dialedFetch(dialer);
  if (!/^[\d.]+$/.test(host) && !host.includes(':')) {
    throw new CliError(
      'CLI_USAGE',
      `${rpc}: with a proxy no name is looked up here; write 127.0.0.1 for this machine`,
    );
  }
  return ownMachineFetch;
}
