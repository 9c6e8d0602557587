import { type KademliaNode, messageOf, parseAddress } from '@granary/kad';
import type { Context } from '../context.js';
import { isLoopback } from '../reachability.js';
import { startVisitingNode } from '../visiting-node.js';

/** The most addresses that pages are given to join by. */
const MAX_ADDRESSES = 24;

/** Whether pages can dial an address: in the clear only nodes of this machine. */
export function isForPages(address: string): boolean {
  try {
    const { scheme, host } = parseAddress(address);
    return scheme === 'wss' || scheme === 'webrtc' || (scheme === 'ws' && isLoopback(host));
  } catch {
    return false;
  }
}

/**
 * Knows addresses that pages can join a network by: those that it was given, and those that nodes announce
 * which it meets itself.
 */
export class BrowserAddresses {
  private constructor(
    private readonly given: readonly string[],
    private readonly node: KademliaNode | undefined,
    /** Whether the node is here for this alone. */
    private readonly own = true,
  ) {}

  /** By a node that runs anyway. @param given - its own addresses */
  static by(node: KademliaNode, given: readonly string[]): BrowserAddresses {
    return new BrowserAddresses(given.filter(isForPages), node, false);
  }

  /**
   * Join the network by the `https:` addresses of the configuration, if there are any. One that can't be
   * joined is done without.
   */
  static async open(context: Context): Promise<BrowserAddresses> {
    const { config, logger, signal } = context;
    const all = config.bootstrap ?? [];
    const given = all.filter(isForPages);
    const others = all.filter((address) => parseAddress(address).scheme === 'https');
    if (others.length === 0) return new BrowserAddresses(given, undefined);
    const node = await startVisitingNode(context);
    try {
      await node.join(others, { signal });
    } catch (error) {
      logger.warn({ error: messageOf(error) }, 'the network could not be joined to find farmers');
    }
    return new BrowserAddresses(given, node);
  }

  /** The addresses now. */
  get list(): string[] {
    const met = (this.node?.contacts() ?? []).flatMap(({ addresses }) =>
      addresses.filter(isForPages),
    );
    return [...new Set([...this.given, ...met])].slice(0, MAX_ADDRESSES);
  }

  async close(): Promise<void> {
    if (this.own) await this.node?.stop();
  }
}
