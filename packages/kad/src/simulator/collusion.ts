import type { Contact } from '../contact.js';
import { signContact } from '../contact.js';
import { Identity } from '../identity.js';
import { type NodeId, isNodeId } from '../node-id.js';
import type { Plugin, PluginHooks } from '../plugin.js';
import { Census } from './census.js';
import type { SeededRandom } from './seeded-random.js';
import type { Simulation } from './simulation.js';

/**
 * What an attacker does to questions:
 * - `drop`: it is silent;
 * - `misroute`: it names those of its fellows that are closest to the target, and takes values without
 *   keeping them (the attacker of S/Kademlia's evaluation, section 5.1);
 * - `lie`: as `misroute`, but it also names identities that were made up for the purpose.
 *
 * Pings are answered by all, so that they stay in routing tables.
 */
export type AttackKind = 'drop' | 'misroute' | 'lie';

/** Nodes that work together against the others. As nodes they join and are known as any other. */
export class Collusion {
  private readonly members = new Map<NodeId, Contact>();
  /** Those that are nodes. */
  private readonly genuine = new Census();
  /** Those, and identities that were made up. */
  private readonly all = new Census();
  private kind: AttackKind | undefined;

  /** @param k - contacts in an answer */
  constructor(private readonly k: number) {}

  /** What makes a node one of them as soon as its contact was added. */
  plugin(): Plugin {
    return { name: 'attacker', install: ({ identity }) => this.hooks(identity.nodeId) };
  }

  /** Somebody who is one of them, and whom the others name, from now on. */
  add(contact: Contact): void {
    this.members.set(contact.nodeId, contact);
    this.genuine.add(contact.nodeId);
    this.all.add(contact.nodeId);
  }

  has(nodeId: NodeId): boolean {
    return this.members.has(nodeId);
  }

  /** From now on they attack in this way; until then, and for undefined, they behave. */
  attack(kind: AttackKind | undefined): void {
    this.kind = kind;
  }

  /**
   * More identities at the address of a member, one port each: they answer as members do, and no
   * honest node has heard of them.
   */
  forge(simulation: Simulation, member: Contact, count: number, random: SeededRandom): void {
    const { hostname } = new URL(member.addresses[0]!);
    for (let port = 2; port < 2 + count; port += 1) {
      const identity = Identity.generate(random.bytes);
      this.addForged(simulation, identity, `https://${hostname}:${port}`);
    }
  }

  /** One identity at an address of its own. */
  addForged(simulation: Simulation, identity: Identity, address: string): Contact {
    const sequence = simulation.clock.now();
    const contact = signContact(identity, { addresses: [address], sequence });
    simulation.network.attach({
      address,
      ip: new URL(address).hostname,
      nodeId: identity.nodeId,
      alive: true,
      reachable: true,
      contact: () => contact,
      receive: ({ method, params }) => this.answer(method, params) ?? Promise.resolve({}),
    });
    this.members.set(contact.nodeId, contact);
    this.all.add(contact.nodeId);
    return contact;
  }

  private hooks(own: NodeId): PluginHooks {
    return {
      onRequest: (request, next) => {
        const answer = this.has(own) ? this.answer(request.method, request.params) : undefined;
        return answer ?? next(request);
      },
    };
  }

  /** What a member answers; undefined for what it answers as anybody would. */
  private answer(method: string, params: unknown): Promise<unknown> | undefined {
    if (this.kind === undefined) return undefined;
    const { target, key } = params as { target?: unknown; key?: unknown };
    const wanted = method === 'FIND_NODE' ? target : key;
    if (method === 'STORE' && this.kind !== 'drop') return Promise.resolve({ stored: true });
    if (!['FIND_NODE', 'FIND_VALUE', 'STORE'].includes(method)) return undefined;
    if (this.kind === 'drop') return new Promise(() => undefined);
    if (!isNodeId(wanted)) return undefined;
    const census = this.kind === 'lie' ? this.all : this.genuine;
    const closest = census.closest(wanted, this.k);
    return Promise.resolve({ contacts: closest.map((id) => this.members.get(id)!) });
  }
}
