import {
  type Contact,
  type NodeId,
  type Plugin,
  type PluginHooks,
  type PluginHost,
  addressGroup,
  messageOf,
  parseAddress,
  parseContact,
  randomFraction,
  toHex,
} from '@granary/kad';
import { NatError } from '../errors.js';
import type { TunnelPurse } from './tunnel-accounts.js';
import { type TunnelTerms, parseTunnelTerms } from './tunnel-terms.js';

/** Asks a node for its tunnel: `{}` to `{ terms?, known }`. */
export const TUNNEL_TERMS = 'TUNNEL_TERMS';

/** A tunnel that would take us. */
export interface TunnelOffer {
  readonly contact: Contact;
  /** The address at which it was asked. */
  readonly address: string;
  readonly terms: TunnelTerms;
  /** A round trip over an open connection, in milliseconds. */
  readonly rtt: number;
}

/** What a {@link TunnelDirectory} is made of. */
export interface TunnelDirectoryOptions {
  /** What this node offers; undefined while it offers nothing. */
  readonly terms?: () => TunnelTerms | undefined;
  /** What this node pays, when it pays. */
  readonly purse?: TunnelPurse;
}

/** Tunnels that are remembered, and named to others. */
const REMEMBERED = 64;
const NAMED = 4;
/** Nodes asked at one time, and in one search. */
const CONCURRENT = 8;
const MAX_ASKED = 96;
/** Walks to random places of the network in one search. */
const MAX_WALKS = 6;
const ASK_MS = 5_000;
/** Offers looked for, for each that is wanted: there has to be something to choose from. */
const CHOICE = 3;

/**
 * How tunnels are found: every node answers whether it is one, and names a few that it knows. Who
 * needs one asks the nodes of its routing table, then those that are named, then walks through the DHT.
 */
export class TunnelDirectory implements Plugin {
  readonly name = 'tunnel-directory';
  private readonly known = new Map<NodeId, Contact>();
  private host: PluginHost | undefined;

  constructor(private readonly options: TunnelDirectoryOptions = {}) {}

  install(host: PluginHost): PluginHooks {
    this.host = host;
    return {
      methods: {
        [TUNNEL_TERMS]: (_params, { sender }) => {
          const terms = this.options.terms?.();
          const known = shuffled([...this.known.values()], () => randomFraction(host.random))
            .filter(({ nodeId }) => nodeId !== sender.nodeId)
            .slice(0, NAMED);
          return Promise.resolve({ ...(terms !== undefined && { terms }), known });
        },
      },
      contactSilent: ({ nodeId }) => this.known.delete(nodeId),
    };
  }

  /** A tunnel that we have met. */
  contactOf(nodeId: NodeId): Contact | undefined {
    return this.known.get(nodeId);
  }

  /**
   * Look for tunnels that take us for what we pay, the best first: near and idle ones, and no two of
   * one address group before there are others.
   *
   * @param wanted - how many are needed; up to three times as many are looked for
   * @param except - nodes that will not do
   */
  async find(
    wanted: number,
    except: ReadonlySet<NodeId>,
    signal: AbortSignal,
  ): Promise<TunnelOffer[]> {
    const { node, identity, random, logger } = this.needHost();
    const offers: TunnelOffer[] = [];
    const asked = new Set<NodeId>([identity.nodeId, ...except]);
    const queue: Contact[] = [];
    const add = (contacts: readonly Contact[], first = false) => {
      const fresh = contacts.filter(
        ({ nodeId, addresses }) => addresses.length > 0 && !asked.has(nodeId),
      );
      for (const { nodeId } of fresh) asked.add(nodeId);
      if (first) queue.unshift(...fresh);
      else queue.push(...fresh);
    };
    add(shuffled([...this.known.values()], () => randomFraction(random)));
    add(shuffled(node.contacts(), () => randomFraction(random)));
    let count = 0;
    const enough = () => offers.length >= wanted * CHOICE || count >= MAX_ASKED || signal.aborted;
    for (let walks = 0; ; walks += 1) {
      while (queue.length > 0 && !enough()) {
        const batch = queue.splice(0, CONCURRENT);
        count += batch.length;
        const answers = await Promise.allSettled(batch.map((one) => this.ask(one, signal)));
        for (const answer of answers) {
          if (answer.status === 'rejected') {
            logger.trace({ error: messageOf(answer.reason) }, 'a node tells of no tunnel');
            continue;
          }
          if (answer.value.offer !== undefined) offers.push(answer.value.offer);
          add(answer.value.known, true);
        }
      }
      if (enough() || walks >= MAX_WALKS) break;
      try {
        const target = toHex(random(32));
        add((await node.lookup(target, { signal })).contacts);
      } catch (error) {
        logger.trace({ error: messageOf(error) }, 'a walk through the network failed');
      }
      if (queue.length === 0 && walks > 0) break;
    }
    return rank(offers);
  }

  /** Ask one node, and then again to see how near it is. */
  private async ask(
    contact: Contact,
    signal: AbortSignal,
  ): Promise<{ offer: TunnelOffer | undefined; known: Contact[] }> {
    const { node, clock } = this.needHost();
    const limits = { signal, timeoutMs: ASK_MS };
    const answer = (await node.call(contact, TUNNEL_TERMS, {}, limits)) as {
      terms?: unknown;
      known?: unknown;
    } | null;
    const named: unknown[] = Array.isArray(answer?.known) ? answer.known.slice(0, NAMED) : [];
    const known = named.map(parseContact);
    const { nodeId } = contact;
    this.known.delete(nodeId);
    if (answer?.terms === undefined) return { offer: undefined, known };
    const terms = parseTunnelTerms(answer.terms);
    const address = contact.addresses.find((one) => parseAddress(one).scheme === 'https');
    if (address === undefined) return { offer: undefined, known };
    this.remember(contact);
    if (terms.free === 0 || !this.affords(terms)) return { offer: undefined, known };
    const begin = clock.now();
    await node.ping(contact, limits);
    return { offer: { contact, address, terms, rtt: clock.now() - begin }, known };
  }

  private affords(terms: TunnelTerms): boolean {
    return terms.price === '0' || this.options.purse?.affords(terms) === true;
  }

  private remember(contact: Contact): void {
    this.known.set(contact.nodeId, contact);
    if (this.known.size <= REMEMBERED) return;
    this.known.delete(this.known.keys().next().value!);
  }

  private needHost(): PluginHost {
    if (this.host === undefined) {
      throw new NatError('NAT_BAD_SETTING', 'the plugin belongs to no node yet');
    }
    return this.host;
  }
}

/**
 * Order offers: those for nothing first; by round trip, which a tunnel at its limits makes count three
 * times; then those of address groups that came before go behind the others, since one operator would end
 * them together.
 */
export function rank(offers: readonly TunnelOffer[]): TunnelOffer[] {
  const cost = ({ rtt, terms }: TunnelOffer) => (rtt + 1) * (1 + 2 * terms.load);
  const paid = ({ terms }: TunnelOffer) => (terms.price === '0' ? 0 : 1);
  const sorted = [...offers].sort((a, b) => paid(a) - paid(b) || cost(a) - cost(b));
  const seen = new Set<string>();
  const first: TunnelOffer[] = [];
  const rest: TunnelOffer[] = [];
  for (const offer of sorted) {
    const { host } = parseAddress(offer.address);
    const group = addressGroup(host);
    if (group !== undefined && seen.has(group)) rest.push(offer);
    else first.push(offer);
    if (group !== undefined) seen.add(group);
  }
  return [...first, ...rest];
}

function shuffled<T>(list: readonly T[], fraction: () => number): T[] {
  const out = [...list];
  for (let i = out.length - 1; i > 0; i -= 1) {
    const j = Math.floor(fraction() * (i + 1));
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}
