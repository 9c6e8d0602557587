import type { Socket } from 'node:net';
import {
  type Contact,
  type Dialer,
  KadError,
  type MethodContext,
  type NodeId,
  type Plugin,
  type PluginHooks,
  type PluginHost,
  type Rate,
  type TlsCredentials,
  TokenBucket,
  createTlsCredentials,
  messageOf,
} from '@granary/kad';
import { NatError } from '../errors.js';
import { type Endpoint, parseEndpoint } from './endpoint.js';
import { observePort } from './observed-port.js';
import { openSimultaneously } from './simultaneous-open.js';

/** Asks for a direct connection: `{}` to `{ wanted }`, then `{ endpoint }` to `{ endpoint }`. */
export const HOLE_PUNCH = 'HOLE_PUNCH';

/** What a {@link HolePuncher} is made of. */
export interface HolePuncherOptions {
  /** Proves to others who asks; made when they are first needed, when not given. */
  readonly credentials?: TlsCredentials;
  /** Takes connections that others have asked for. Without it, none are made for them. */
  readonly accept?: (socket: Socket) => void;
  /** Whether direct connections are of use: false while others can dial us anyway. */
  readonly wanted?: () => boolean;
}

const PER_PEER: Rate = { perSecond: 0.2, burst: 8 };
const TOTAL: Rate = { perSecond: 2, burst: 32 };
const CONCURRENT = 16;
const REMEMBERED = 1_000;
const CALL_MS = 10_000;
/** How long a node that can't be met so is not asked again. */
const GIVE_UP_MS = 10 * 60_000;

/** What is known of direct connections to a node. */
type Standing = { readonly state: 'works' } | { readonly state: 'fails'; readonly until: number };

/**
 * Makes direct connections between two nodes that both are behind NAT and reach each other through a
 * tunnel. The tunnel carries their agreement: each learns from others how it is seen, tells the
 * other, and both dial at the same time.
 */
export class HolePuncher implements Plugin {
  readonly name = 'hole-puncher';
  private readonly standings = new Map<NodeId, Standing>();
  private readonly peers = new Map<NodeId, TokenBucket>();
  private readonly stopping = new AbortController();
  private total: TokenBucket | undefined;
  private busy = 0;
  private host: PluginHost | undefined;
  private credentials: Promise<TlsCredentials> | undefined;

  constructor(private readonly options: HolePuncherOptions = {}) {}

  install(host: PluginHost): PluginHooks {
    this.host = host;
    const { accept } = this.options;
    return {
      ...(accept !== undefined && {
        methods: { [HOLE_PUNCH]: (params, context) => this.answer(host, accept, params, context) },
      }),
      stop: () => this.stopping.abort(),
    };
  }

  /** Whether a direct connection to a node has been made before, and did not fail since. */
  works(nodeId: NodeId): boolean {
    return this.standings.get(nodeId)?.state === 'works';
  }

  /** Whether it is worth trying: it has not failed of late. */
  worthTrying(nodeId: NodeId): boolean {
    const standing = this.standings.get(nodeId);
    const now = this.host?.clock.now() ?? 0;
    return standing?.state !== 'fails' || standing.until <= now;
  }

  /** Dials a node directly, whatever address it is given. */
  dialerTo(contact: Contact): Dialer {
    return {
      direct: true,
      slackMs: CALL_MS,
      dials: () => true,
      dial: async (_host, _port, { signal }) => {
        const ends = signal ? [signal, this.stopping.signal] : [this.stopping.signal];
        try {
          return await this.dial(contact, AbortSignal.any(ends));
        } catch (error) {
          const code = error instanceof NatError && error.code === 'NAT_ABORTED';
          throw new KadError(code ? 'KAD_ABORTED' : 'KAD_UNREACHABLE', messageOf(error), {
            cause: error,
          });
        }
      },
    };
  }

  /**
   * Open a direct TCP connection to a node that can be asked, through a tunnel or otherwise.
   *
   * @throws NatError NAT_PUNCH when it can't be had, NAT_ABORTED; what calling the node throws.
   */
  async dial(contact: Contact, signal: AbortSignal): Promise<Socket> {
    const { host } = this;
    if (host === undefined) throw new NatError('NAT_BAD_SETTING', 'the plugin is of no node yet');
    const { node, clock, logger } = host;
    const { nodeId } = contact;
    if (!this.worthTrying(nodeId)) throw new NatError('NAT_PUNCH', 'it has failed of late');
    const limits = { signal, timeoutMs: CALL_MS };
    try {
      if (!this.works(nodeId)) {
        const { wanted } = (await node.call(contact, HOLE_PUNCH, {}, limits)) as {
          wanted?: unknown;
        };
        if (wanted !== true) throw new NatError('NAT_PUNCH', 'the other side has no use for it');
      }
      const own = await observePort(host, await this.needCredentials(host), signal);
      try {
        const begin = clock.now();
        const asked = { endpoint: own.endpoint };
        const answer = (await node.call(contact, HOLE_PUNCH, asked, limits)) as {
          endpoint?: unknown;
        } | null;
        const endpoint = parseEndpoint(answer?.endpoint);
        if (endpoint === undefined)
          throw new NatError('NAT_PUNCH', 'the other side names no place');
        const socket = await openSimultaneously(own.localPort, endpoint, { clock, signal });
        this.note(nodeId, { state: 'works' });
        logger.info({ node: nodeId, ...endpoint, ms: clock.now() - begin }, 'met directly');
        return socket;
      } finally {
        await own.close();
      }
    } catch (error) {
      if (!signal.aborted) {
        this.note(nodeId, { state: 'fails', until: clock.now() + GIVE_UP_MS });
        logger.debug({ node: nodeId, error: messageOf(error) }, 'no direct connection');
      }
      throw error;
    }
  }

  private async answer(
    host: PluginHost,
    accept: (socket: Socket) => void,
    params: unknown,
    { sender, signal }: MethodContext,
  ): Promise<{ wanted: boolean } | { endpoint: Endpoint }> {
    const { wanted } = this.options;
    const asked = (params as { endpoint?: unknown } | null)?.endpoint;
    if (asked === undefined) return { wanted: wanted?.() ?? true };
    const endpoint = parseEndpoint(asked);
    if (endpoint === undefined) {
      throw new KadError('KAD_BAD_PARAMETERS', 'endpoint is not a public address and port');
    }
    this.admit(host, sender.nodeId);
    this.busy += 1;
    try {
      const own = await observePort(host, await this.needCredentials(host), signal);
      void openSimultaneously(own.localPort, endpoint, {
        clock: host.clock,
        signal: this.stopping.signal,
      })
        .then(accept)
        .catch((error: unknown) =>
          host.logger.debug({ node: sender.nodeId, error: messageOf(error) }, 'was not met'),
        )
        .finally(() => {
          this.busy -= 1;
          return own.close();
        });
      return { endpoint: own.endpoint };
    } catch (error) {
      this.busy -= 1;
      throw error;
    }
  }

  /** @throws KadError KAD_BUSY: each asking has us dial where somebody else says. */
  private admit({ clock }: PluginHost, peer: NodeId): void {
    const now = clock.now();
    const bucket = this.peers.get(peer) ?? new TokenBucket(PER_PEER, now);
    this.peers.delete(peer);
    this.peers.set(peer, bucket);
    if (this.peers.size > REMEMBERED) this.peers.delete(this.peers.keys().next().value!);
    this.total ??= new TokenBucket(TOTAL, now);
    if (this.busy >= CONCURRENT || !bucket.take(now) || !this.total.take(now)) {
      throw new KadError('KAD_BUSY', 'too many direct connections were asked for: use the tunnel');
    }
  }

  private note(nodeId: NodeId, standing: Standing): void {
    this.standings.delete(nodeId);
    this.standings.set(nodeId, standing);
    if (this.standings.size <= REMEMBERED) return;
    this.standings.delete(this.standings.keys().next().value!);
  }

  private needCredentials({ identity }: PluginHost): Promise<TlsCredentials> {
    this.credentials ??=
      this.options.credentials === undefined
        ? createTlsCredentials(identity)
        : Promise.resolve(this.options.credentials);
    return this.credentials;
  }
}
