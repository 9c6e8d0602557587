import {
  type Contact,
  type Dialer,
  KadError,
  type Logger,
  type Plugin,
  messageOf,
} from '@granary/kad';
import { FarmerRefusal, RenterError } from './errors.js';
import { type ConnectionContext, FarmerConnection, canReach } from './farmer-connection.js';
import type { FarmerDirectory } from './farmer-directory.js';

/** Idle connections kept for each farmer. */
const MAX_IDLE = 16;
/** How long a farmer that could not be reached is doubted, in milliseconds. */
const DOUBT_MS = 30_000;
/** A farmer that was dialled for so long when others were enough counts as one that could not be reached. */
const GIVEN_UP_MS = 1_000;

/**
 * Makes direct connections to farmers that can only be dialled through tunnels, where that is
 * possible: `HolePuncher` of the nat package. It is a plugin of the renter's node.
 */
export interface DirectPaths extends Plugin {
  /** Whether a direct connection to the node was made before, and has not failed since. */
  works(nodeId: string): boolean;
  /** Whether it has not failed of late. */
  worthTrying(nodeId: string): boolean;
  /** Dials the node, whatever address it is given. */
  dialerTo(farmer: Contact): Dialer;
}

/** Connections to farmers, used again from transfer to transfer. */
export class ConnectionPool {
  private readonly idle = new Map<string, FarmerConnection[]>();
  private readonly upgrading = new Set<string>();
  /** Farmers that are being dialled, and since when; and when they were last found not to be there. */
  private readonly dialling = new Map<string, number>();
  private readonly unreached = new Map<string, number>();
  private readonly closing = new AbortController();
  private closed = false;

  constructor(
    private readonly context: ConnectionContext,
    private readonly directory: Pick<FarmerDirectory, 'contactOf'>,
    /** Pays a farmer that wants to be paid first; whether it is worth trying again. */
    private readonly onUnpaid: (nodeId: string, signal: AbortSignal) => Promise<boolean>,
    private readonly logger: Logger,
    private readonly paths?: DirectPaths,
  ) {}

  /**
   * Do something on a connection to a farmer. A connection that was left from before may have died
   * unseen; then it is tried once more on a new one. A farmer that is not where it was is looked up. One that
   * wants to be paid first is paid, if that can be, and tried once more.
   */
  async use<T>(
    nodeId: string,
    signal: AbortSignal,
    work: (connection: FarmerConnection) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.useOnce(nodeId, signal, work);
    } catch (error) {
      const unpaid = error instanceof FarmerRefusal && error.code === 'FARMER_UNPAID';
      if (!unpaid || signal.aborted || !(await this.onUnpaid(nodeId, signal))) throw error;
      return this.useOnce(nodeId, signal, work);
    }
  }

  private async useOnce<T>(
    nodeId: string,
    signal: AbortSignal,
    work: (connection: FarmerConnection) => Promise<T>,
  ): Promise<T> {
    const kept = this.take(nodeId);
    if (kept !== undefined) {
      try {
        return await this.finish(kept, work);
      } catch (error) {
        if (signal.aborted || !isBroken(error)) throw error;
      }
    }
    const connection = await this.dial(nodeId, signal);
    try {
      return await this.finish(connection, work);
    } catch (error) {
      // A farmer with several addresses is behind tunnels, of which one has just gone.
      const { addresses } = connection.farmer;
      const ways = addresses.filter((address) => canReach(address, this.context.dialer)).length;
      const others = connection.direct || ways > 1;
      if (signal.aborted || !isBroken(error) || !others) throw error;
    }
    return this.finish(await this.dial(nodeId, signal), work);
  }

  /**
   * Whether a farmer is likely not to be there: it is being dialled for longer than `patienceMs`, or could
   * not be reached a moment ago.
   */
  doubts(nodeId: string, patienceMs: number): boolean {
    const now = this.context.clock.now();
    const since = this.dialling.get(nodeId) ?? now;
    const failed = this.unreached.get(nodeId) ?? -Infinity;
    return now - since >= patienceMs || now - failed < DOUBT_MS;
  }

  close(): void {
    this.closed = true;
    this.closing.abort();
    for (const connections of this.idle.values()) for (const one of connections) one.close();
    this.idle.clear();
  }

  private async finish<T>(
    connection: FarmerConnection,
    work: (connection: FarmerConnection) => Promise<T>,
  ): Promise<T> {
    try {
      return await work(connection);
    } finally {
      this.give(connection);
    }
  }

  private take(nodeId: string): FarmerConnection | undefined {
    const connections = this.idle.get(nodeId) ?? [];
    for (let one = connections.pop(); one !== undefined; one = connections.pop()) {
      if (one.usable) return one;
      one.close();
    }
    return undefined;
  }

  private give(connection: FarmerConnection): void {
    if (!connection.usable) return;
    const { nodeId } = connection.farmer;
    const connections = this.idle.get(nodeId) ?? [];
    this.idle.set(nodeId, connections);
    // Where there is a direct way, nothing more goes through a tunnel.
    const outdated = !connection.direct && this.paths?.works(nodeId) === true;
    if (this.closed || outdated || connections.length >= MAX_IDLE) connection.close();
    else connections.push(connection);
  }

  /** Try in the background to have the next transfers go to a farmer directly. */
  private upgrade(farmer: Contact): void {
    const { paths, closing, upgrading } = this;
    const { nodeId } = farmer;
    if (paths === undefined || upgrading.has(nodeId) || !paths.worthTrying(nodeId)) return;
    upgrading.add(nodeId);
    FarmerConnection.dialDirectly(farmer, this.context, paths.dialerTo(farmer), closing.signal)
      .then(
        (connection) => {
          for (const tunnelled of this.idle.get(nodeId) ?? []) tunnelled.close();
          this.idle.delete(nodeId);
          this.give(connection);
        },
        (error: unknown) =>
          this.logger.debug({ farmer: nodeId, error: messageOf(error) }, 'no direct connection'),
      )
      .finally(() => upgrading.delete(nodeId));
  }

  private async dial(nodeId: string, signal: AbortSignal): Promise<FarmerConnection> {
    const { clock } = this.context;
    if (!this.dialling.has(nodeId)) this.dialling.set(nodeId, clock.now());
    try {
      const connection = await this.dialSomehow(nodeId, signal);
      this.unreached.delete(nodeId);
      this.dialling.delete(nodeId);
      return connection;
    } catch (error) {
      // One that was given up for others, after a while, was not there either.
      if (!signal.aborted || this.doubts(nodeId, GIVEN_UP_MS)) {
        this.unreached.set(nodeId, clock.now());
      }
      this.dialling.delete(nodeId);
      throw error;
    }
  }

  private async dialSomehow(nodeId: string, signal: AbortSignal): Promise<FarmerConnection> {
    if (this.closed) throw new RenterError('RENTER_CLOSED', 'the renter was closed');
    const contact = await this.directory.contactOf(nodeId);
    if (this.paths?.works(nodeId) === true) {
      const dialer = this.paths.dialerTo(contact);
      try {
        return await FarmerConnection.dialDirectly(contact, this.context, dialer, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        this.logger.debug({ farmer: nodeId, error: messageOf(error) }, 'back to the tunnel');
      }
    }
    const connection = await this.dialAddresses(contact, signal);
    this.upgrade(connection.farmer);
    return connection;
  }

  private async dialAddresses(contact: Contact, signal: AbortSignal): Promise<FarmerConnection> {
    try {
      return await FarmerConnection.dial(contact, this.context, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      const found = await this.lookAgain(contact);
      if (found === undefined) throw error;
      return FarmerConnection.dial(found, this.context, signal);
    }
  }

  /** A contact newer than the one that did not work. */
  private async lookAgain(contact: Contact): Promise<Contact | undefined> {
    const found = await this.directory.contactOf(contact.nodeId, true).catch(() => undefined);
    if (found === undefined) return undefined;
    return found.addresses.join() === contact.addresses.join() ? undefined : found;
  }
}

function isBroken(error: unknown): boolean {
  return (
    (error instanceof RenterError && error.code === 'RENTER_TRANSFER') ||
    (error instanceof KadError && error.code === 'KAD_UNREACHABLE')
  );
}
