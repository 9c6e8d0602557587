import {
  KadError,
  type KademliaNode,
  type MethodContext,
  type Plugin,
  type PluginHooks,
  type PluginHost,
  type Rate,
  TokenBucket,
  addressGroup,
  formatAddress,
  parseAddress,
} from '@granary/kad';
import { canonicalIp, isNodePort, isOtherMachine } from './own-address.js';

/** The limits of {@link DialBack}. */
export interface DialBackOptions {
  /** Dials for one peer. Default one in 10 seconds, 12 at once. */
  readonly perPeer?: Rate;
  /** Dials to one address group (such as a /24). Default one in 5 seconds, 24 at once. */
  readonly perGroup?: Rate;
  /** Dials for all. Default 10 a second, 50 at once. */
  readonly total?: Rate;
  /** Dials at one time. Default 16. */
  readonly concurrent?: number;
  /** Milliseconds for one dial. Default 5000. */
  readonly dialMs?: number;
}

/** Asks to be dialled: `{ address }` to `{ reached }`. */
export const DIAL_BACK = 'DIAL_BACK';
/** Asks where we come from: `{}` to `{ address, port? }`. */
export const OBSERVED_ADDRESS = 'OBSERVED_ADDRESS';

/** How many peers and groups are remembered. */
const REMEMBERED = 2_000;

const DEFAULTS: Required<DialBackOptions> = {
  perPeer: { perSecond: 0.1, burst: 12 },
  perGroup: { perSecond: 0.2, burst: 24 },
  total: { perSecond: 10, burst: 50 },
  concurrent: 16,
  dialMs: 5_000,
};

/**
 * Dials peers that want to know whether they can be reached, and tells them where they come from.
 *
 * It can't be turned against others: it dials only the IP address that the request came from, over
 * a connection that a TLS handshake has proved not to be forged; only ports that nodes may have; it
 * expects the very node that asked, and says no more than whether that was there; and all of it is
 * limited for each peer, each address group, and in all.
 */
export class DialBack implements Plugin {
  readonly name = 'dial-back';
  private readonly options: Required<DialBackOptions>;
  private readonly peers = new Buckets();
  private readonly groups = new Buckets();
  private readonly busy = new Set<string>();
  private total: TokenBucket | undefined;

  constructor(options: DialBackOptions = {}) {
    this.options = { ...DEFAULTS, ...options };
  }

  install(host: PluginHost): PluginHooks {
    return {
      methods: {
        [OBSERVED_ADDRESS]: (_params, { remote }) => {
          const { port } = remote;
          const address = canonicalIp(remote.address);
          // Who comes through a tunnel comes from nowhere that we know of, and from no port.
          if (address === undefined) return Promise.resolve({ address: '' });
          return Promise.resolve({ address, ...(port !== undefined && { port }) });
        },
        [DIAL_BACK]: (params, context) => this.dial(host, params, context),
      },
    };
  }

  private async dial(
    host: PluginHost,
    params: unknown,
    { sender, remote, signal }: MethodContext,
  ): Promise<{ reached: boolean }> {
    const asked = dialBackAddress(params, remote.address);
    this.admit(host, sender.nodeId, asked.host);
    const address = `${formatAddress(asked)}/${sender.nodeId}`;
    this.busy.add(sender.nodeId);
    try {
      return { reached: await reaches(host, address, this.options.dialMs, signal) };
    } finally {
      this.busy.delete(sender.nodeId);
    }
  }

  /** @throws KadError KAD_BUSY when it is too much. */
  private admit({ clock }: PluginHost, peer: string, ip: string): void {
    const { perPeer, perGroup, total, concurrent } = this.options;
    const now = clock.now();
    const busy = (what: string) => new KadError('KAD_BUSY', `${what}: ask again later`);
    if (this.busy.has(peer)) throw busy('you are being dialled already');
    if (this.busy.size >= concurrent) throw busy('too many are being dialled');
    if (!this.peers.take(peer, perPeer, now)) throw busy('you were dialled too often');
    if (!this.groups.take(addressGroup(ip) ?? ip, perGroup, now)) {
      throw busy('your network was dialled too often');
    }
    this.total ??= new TokenBucket(total, now);
    if (!this.total.take(now)) throw busy('too many were dialled');
  }
}

/**
 * Where a peer asks to be dialled: an address of its own, or none.
 *
 * @param from - where the request came from, as the transport saw it
 * @throws KadError KAD_BAD_PARAMETERS.
 */
export function dialBackAddress(params: unknown, from: string): ReturnType<typeof parseAddress> {
  const bad = (why: string) => new KadError('KAD_BAD_PARAMETERS', `no dial-back: ${why}`);
  const text = (params as { address?: unknown } | null | undefined)?.address;
  if (typeof text !== 'string') throw bad('address is not text');
  const address = parseAddress(text);
  const host = canonicalIp(address.host);
  const own = canonicalIp(from);
  if (host === undefined) throw bad('the address has to be an IP address, not a name');
  if (own === undefined || host !== own)
    throw bad(`you come from ${own ?? 'nowhere'}, not ${host}`);
  if (!isOtherMachine(host)) throw bad(`${host} can't be another machine`);
  if (!isNodePort(address.port)) throw bad('ports below 1024 other than 443 are not dialled');
  return { scheme: address.scheme, host, port: address.port };
}

/** Whether the node of the address is there, and answers. Why not is nobody's business. */
async function reaches(
  { node, clock }: { readonly node: KademliaNode; readonly clock: PluginHost['clock'] },
  address: string,
  dialMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const controller = new AbortController();
  const abort = () => controller.abort(signal.reason);
  if (signal.aborted) return false;
  signal.addEventListener('abort', abort, { once: true });
  const timer = clock.setTimeout(abort, dialMs);
  try {
    await node.resolve(address, { timeoutMs: dialMs, signal: controller.signal });
    return true;
  } catch {
    return false;
  } finally {
    clock.clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

/** Token buckets by key; the ones that were used least recently are forgotten. */
class Buckets {
  private readonly byKey = new Map<string, TokenBucket>();

  take(key: string, rate: Rate, now: number): boolean {
    const bucket = this.byKey.get(key) ?? new TokenBucket(rate, now);
    this.byKey.delete(key);
    this.byKey.set(key, bucket);
    if (this.byKey.size > REMEMBERED) this.byKey.delete(this.byKey.keys().next().value!);
    return bucket.take(now);
  }
}
