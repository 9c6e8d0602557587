import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import {
  type Contact,
  type Plugin,
  type PluginHooks,
  type PluginHost,
  type TlsCredentials,
  messageOf,
} from '@granary/kad';
import { Announcer } from '../announcer.js';
import type { Reachability, ReachabilityStatus } from '../reachability/reachability.js';
import type { PortRange } from './ports.js';
import type { TunnelAccounts, TunnelPurse } from './tunnel-accounts.js';
import type { TunnelClientLimits } from './tunnel-connection.js';
import { TunnelDirectory } from './tunnel-directory.js';
import { type OpenTunnel, TunnelKeeper } from './tunnel-keeper.js';
import type { TunnelLimits } from './tunnel-limits.js';
import { TunnelServer, type TunnelStats } from './tunnel-server.js';

/**
 * When to do something about tunnels. `auto`: to be reached through one while others can't reach us
 * directly; to be one while they can, at an address of our own.
 */
export type TunnelMode = 'auto' | 'always' | 'never';

/** What a {@link Tunnels} is made of. */
export interface TunnelsOptions {
  /** The node's own HTTPS server, once it listens. */
  readonly server: () => Server | undefined;
  readonly credentials: TlsCredentials;
  /** Whether this node is reached through tunnels of others. Default `auto`. */
  readonly use?: TunnelMode;
  /** Whether this node is a tunnel for others. Default `auto`. */
  readonly offer?: TunnelMode;
  /** Says whether others can reach us; without it, `auto` means never. */
  readonly reachability?: Reachability;
  /** Tunnels to be reached through at one time. Default 2. */
  readonly count?: number;
  /** Bounds of the tunnel that this node is. */
  readonly limits?: Partial<TunnelLimits>;
  /** The ports that clients of this node are given. */
  readonly ports?: PortRange;
  readonly accounts?: TunnelAccounts;
  readonly purse?: TunnelPurse;
  readonly clientLimits?: Partial<TunnelClientLimits>;
}

/** What a node does about tunnels at this time. */
export interface TunnelsStatus {
  /** Those through which we are reached. */
  readonly through: readonly OpenTunnel[];
  /** What we carry for others; undefined while we are no tunnel. */
  readonly offered: TunnelStats | undefined;
}

/** Contacts near us that are told of a new address at once. */
const TOLD = 8;

/** Tunnels, for both sides: a node is reached through some, or is one itself, as it needs and can. */
export class Tunnels implements Plugin {
  readonly name = 'tunnels';
  /** Finds tunnels, and tells others of ours. */
  readonly directory: TunnelDirectory;
  private readonly listeners = new Set<(status: TunnelsStatus) => void>();
  private readonly announcer: Announcer;
  private keeper: TunnelKeeper | undefined;
  private offered: TunnelServer | undefined;
  private unsubscribe: (() => void) | undefined;

  constructor(private readonly options: TunnelsOptions) {
    const { purse, reachability } = options;
    this.directory = new TunnelDirectory({
      terms: () => this.offered?.terms,
      ...(purse && { purse }),
    });
    this.announcer = reachability?.announcer ?? new Announcer();
  }

  /** What is done now. */
  get status(): TunnelsStatus {
    return { through: this.keeper?.tunnels ?? [], offered: this.offered?.stats };
  }

  /** Be told when tunnels come and go. */
  onChange(listener: (status: TunnelsStatus) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  install(host: PluginHost): PluginHooks {
    const hooks = this.directory.install(host);
    return {
      ...hooks,
      start: () => this.start(host),
      // While there still are connections over which clients can be told.
      leave: () => this.offered?.close() ?? Promise.resolve(),
      stop: () => this.stop(),
    };
  }

  private start(host: PluginHost): void {
    const { reachability, use = 'auto', offer = 'auto' } = this.options;
    if (reachability === undefined) {
      this.announcer.set('confirmed', host.node.contact.addresses);
      this.announcer.start((addresses) => host.node.announce(addresses));
    }
    if (use === 'always') this.keep(host);
    if (offer === 'always') this.serve(host);
    if (reachability === undefined) return;
    const decide = (status: ReachabilityStatus) => this.decide(host, status);
    this.unsubscribe = reachability.onChange(decide);
    decide(reachability.status);
  }

  private async stop(): Promise<void> {
    this.unsubscribe?.();
    this.keeper?.stop();
    await this.offered?.close();
    this.offered = undefined;
  }

  private decide(
    host: PluginHost,
    { state, mapping, checkedAt, announced }: ReachabilityStatus,
  ): void {
    const { use = 'auto', offer = 'auto' } = this.options;
    if (checkedAt === undefined) return;
    if (use === 'auto') {
      const lent = this.keeper?.tunnels.map(({ address }) => address) ?? [];
      const own = announced.some((address) => !lent.includes(address));
      // While nobody can say, what the user wrote counts.
      if (state === 'private' || (state === 'unknown' && !own)) this.keep(host);
      else if (state === 'public' && this.keeper?.running === true) {
        host.logger.info(
          {},
          'others reach this node directly: its tunnels are not needed any more',
        );
        this.keeper.stop();
      }
    }
    if (offer === 'auto') {
      // A router that maps our port maps none of those that clients would be given.
      if (state === 'public' && mapping === undefined) this.serve(host);
      else if (state === 'private') this.retire(host);
    }
  }

  private keep(host: PluginHost): void {
    const { credentials, count, clientLimits, purse } = this.options;
    const target = this.target();
    if (target === undefined) return;
    const { identity, clock, random, logger } = host;
    this.keeper ??= new TunnelKeeper({
      nodeId: identity.nodeId,
      credentials,
      target,
      find: (wanted, except, signal) => this.directory.find(wanted, except, signal),
      onChange: (addresses) => {
        this.announcer.set('tunnel', addresses);
        this.spread(host);
        this.tell();
      },
      clock,
      random,
      logger,
      ...(count !== undefined && { count }),
      ...(clientLimits && { limits: clientLimits }),
      ...(purse && { purse }),
    });
    this.keeper.start();
  }

  private serve({ clock, random, logger }: PluginHost): void {
    const server = this.options.server();
    if (this.offered !== undefined || server === undefined) return;
    const { limits, ports, accounts } = this.options;
    this.offered = new TunnelServer({
      server,
      clock,
      random,
      logger,
      ...(limits && { limits }),
      ...(ports && { ports }),
      ...(accounts && { accounts }),
    });
    logger.info({}, 'this node takes connections for others, as a tunnel');
    this.tell();
  }

  private retire({ logger }: PluginHost): void {
    const { offered } = this;
    if (offered === undefined) return;
    this.offered = undefined;
    void offered
      .close()
      .catch((error: unknown) => logger.warn({ error: messageOf(error) }, 'a tunnel did not stop'));
    this.tell();
  }

  /** Where our own server is reached from this machine. */
  private target(): { host: string; port: number } | undefined {
    const bound = this.options.server()?.address() as AddressInfo | null | undefined;
    if (bound === null || bound === undefined) return undefined;
    const { address, port } = bound;
    const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address;
    return { host, port };
  }

  /** Have the nodes near us know our addresses, since they are asked for us. */
  private spread({ node, identity, logger }: PluginHost): void {
    if (!node.running) return;
    const near: Contact[] = node.routingTable.closest(identity.nodeId, TOLD);
    for (const contact of near) node.check(contact);
    node
      .lookup(identity.nodeId)
      .catch((error: unknown) =>
        logger.debug({ error: messageOf(error) }, 'telling others failed'),
      );
  }

  private tell(): void {
    const { status } = this;
    for (const listener of this.listeners) listener(status);
  }
}
