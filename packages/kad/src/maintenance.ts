import type { Clock } from './clock.js';
import type { Contact } from './contact.js';
import { messageOf } from './errors.js';
import { field } from './fields.js';
import type { KademliaNode } from './kademlia-node.js';
import type { Logger } from './logger.js';
import { ID_BITS, type NodeId, compareDistance, randomIdInBucket } from './node-id.js';
import { type Random, randomFraction } from './random.js';
import { parseContacts } from './rpc.js';

/** The most lost contacts that a node remembers. */
const MAX_LOST = 256;
/** Lost contacts that are tried again in one round. */
const LOST_TRIED = 3;
/** Siblings that are asked for their neighbours in one round. */
const SIBLINGS_ASKED = 3;

/** Keeps a node's routing table alive: refreshes, and tries again who was lost. */
export class Maintenance {
  /** When a lookup last went through each k-bucket. */
  private readonly lookedAt = new Map<number, number>();
  /** Contacts that left the table, and when: they are tried again, so that an outage ends. */
  private readonly lostContacts = new Map<NodeId, { contact: Contact; since: number }>();
  private readonly born: number;
  private siblingsRefreshed: number;
  private working: Promise<void> = Promise.resolve();
  private timer: unknown;
  private stopped = false;

  /** @param plugins - the maintenance of the plugins, which comes last */
  constructor(
    private readonly node: KademliaNode,
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly logger: Logger,
    private readonly plugins: () => Promise<void>,
  ) {
    this.born = clock.now();
    this.siblingsRefreshed = this.born;
  }

  start(): void {
    const { maintenanceMs } = this.node.options;
    // Jitter keeps the nodes of a network from working in step.
    const delay = maintenanceMs * (0.75 + randomFraction(this.random) / 2);
    this.timer = this.clock.setTimeout(() => {
      this.run()
        .catch((error: unknown) =>
          this.logger.warn({ error: messageOf(error) }, 'maintenance did not finish'),
        )
        .finally(() => {
          if (!this.stopped) this.start();
        });
    }, delay);
    if (this.timer instanceof Object && 'unref' in this.timer) {
      (this.timer as { unref(): void }).unref();
    }
  }

  stop(): void {
    this.stopped = true;
    this.clock.clearTimeout(this.timer);
  }

  /** Resolves when what was under way has ended, well or not. */
  settled(): Promise<void> {
    return this.working.catch(() => undefined);
  }

  /** A contact did not answer and left the table. */
  lost(contact: Contact): void {
    this.lostContacts.delete(contact.nodeId);
    this.lostContacts.set(contact.nodeId, { contact, since: this.clock.now() });
    if (this.lostContacts.size > MAX_LOST) {
      this.lostContacts.delete(this.lostContacts.keys().next().value!);
    }
  }

  /** A lookup goes through this k-bucket. */
  refreshed(index: number): void {
    this.lookedAt.set(index, this.clock.now());
  }

  /** Do what is due; one round after the other. */
  run(): Promise<void> {
    this.working = this.settled().then(() => this.round());
    return this.working;
  }

  private async round(): Promise<void> {
    await this.findLost();
    await this.refreshSiblings();
    await this.refreshBuckets();
    await this.plugins();
  }

  /** Try some of the contacts that were lost: who answers is in the table again. */
  private async findLost(): Promise<void> {
    const { expireMs } = this.node.options;
    const now = this.clock.now();
    for (const [nodeId, { contact, since }] of [...this.lostContacts].slice(0, LOST_TRIED)) {
      if (!this.node.running) return;
      this.lostContacts.delete(nodeId);
      if (now - since > expireMs || this.node.routingTable.get(nodeId) !== undefined) continue;
      try {
        await this.node.call(contact, 'PING', {});
      } catch {
        // To the end of the queue.
        this.lostContacts.set(nodeId, { contact, since });
      }
    }
  }

  /**
   * Ask some of the closest contacts for their own closest, and ping whoever is news: who is near us
   * decides where values are found, and changes sooner than far k-buckets do.
   */
  private async refreshSiblings(): Promise<void> {
    const { siblingRefreshMs, k, siblings } = this.node.options;
    const now = this.clock.now();
    if (siblings === 0 || now - this.siblingsRefreshed < siblingRefreshMs) return;
    this.siblingsRefreshed = now;
    const target = this.node.identity.nodeId;
    const { routingTable } = this.node;
    const near = routingTable.closest(target, k);
    const asked = new Set<Contact>();
    while (asked.size < Math.min(SIBLINGS_ASKED, near.length)) {
      asked.add(near[Math.floor(randomFraction(this.random) * near.length)]!);
    }
    for (const contact of asked) {
      if (!this.node.running) return;
      try {
        const answer = await this.node.call(contact, 'FIND_NODE', { target });
        for (const other of parseContacts(field(answer, 'contacts'), k)) {
          const last = routingTable.siblings.at(-1)?.contact.nodeId;
          const near =
            last === undefined ||
            routingTable.siblings.length < siblings ||
            compareDistance(other.nodeId, last, target) < 0;
          const known = routingTable.get(other.nodeId) !== undefined;
          if (near && !known && other.nodeId !== target) this.node.check(other);
        }
      } catch {
        // It left the table; the next round asks others.
      }
    }
    // Those that nobody has heard of for a while are asked whether they are there.
    for (const { contact, lastSeen } of routingTable.siblings.slice(0, k)) {
      if (now - lastSeen >= siblingRefreshMs) this.node.check(contact);
    }
  }

  private async refreshBuckets(): Promise<void> {
    const { refreshMs } = this.node.options;
    const lowest = this.node.routingTable.lowestBucket();
    for (let index = lowest; index < ID_BITS && index >= 0; index += 1) {
      if (!this.node.running) return;
      if (this.clock.now() - (this.lookedAt.get(index) ?? this.born) < refreshMs) continue;
      await this.node.lookup(randomIdInBucket(this.node.identity.nodeId, index, this.random));
    }
  }
}
