import { type Contact, type KademliaNode, type Logger, messageOf } from '@granary/kad';
import { RenterError } from './errors.js';

/**
 * Joins the network the first time that it is needed, by the bootstrap addresses and by farmers met
 * before, so that a renter finds back even when its bootstrap nodes are gone.
 */
export class NetworkAccess {
  private joined: Promise<void> | undefined;
  /** Whether that is over, and went well. */
  private inside = false;

  constructor(
    readonly node: KademliaNode,
    /** Addresses to join by. */
    readonly bootstrap: readonly string[],
    private readonly known: () => Promise<Contact[]>,
    private readonly logger: Logger,
    /** Whether nodes can be reached at an address from here. */
    private readonly dials: (address: string) => boolean,
  ) {}

  /**
   * Join, if that was not done before.
   *
   * @returns whether it was not: then everybody near us has just been met
   * @throws RenterError RENTER_NETWORK_UNREACHABLE.
   */
  async join(): Promise<boolean> {
    const { inside } = this;
    const attempt = (this.joined ??= this.enter());
    try {
      await attempt;
      this.inside = true;
      return !inside;
    } catch (error) {
      this.joined = undefined;
      throw error;
    }
  }

  /** Join anew: those that were known may all be gone. @throws RenterError RENTER_NETWORK_UNREACHABLE. */
  async rejoin(): Promise<void> {
    this.joined = undefined;
    this.inside = false;
    await this.join();
  }

  private async enter(): Promise<void> {
    const met = (await this.known()).flatMap(({ addresses }) =>
      addresses.filter(this.dials).slice(0, 1),
    );
    const addresses = [...new Set([...this.bootstrap, ...met.slice(0, 16)])];
    if (addresses.length === 0) {
      throw new RenterError(
        'RENTER_NETWORK_UNREACHABLE',
        'no address of the network is known: name one with --bootstrap https://HOST:PORT',
      );
    }
    try {
      // It is in nobody's table, and looks all over the network before it stores anything: to fill buckets would only take time.
      await this.node.join(addresses, { fill: false });
    } catch (error) {
      this.logger.debug({ error: messageOf(error) }, 'joining failed');
      throw new RenterError(
        'RENTER_NETWORK_UNREACHABLE',
        `the network can't be reached: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }
}
