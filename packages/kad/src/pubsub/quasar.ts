import type { Contact } from '../contact.js';
import { KadError } from '../errors.js';
import { field } from '../fields.js';
import { type NodeId, isNodeId } from '../node-id.js';
import type { Plugin, PluginHooks, PluginHost } from '../plugin.js';
import { AttenuatedFilter } from './attenuated-filter.js';
import { jittered, shuffle } from './pick.js';
import {
  type Publication,
  checkPublication,
  makePublication,
  parsePublication,
} from './publication.js';
import { SeenCache } from './seen-cache.js';
import { type TopicHash, hashTopic } from './topic.js';

/** The parameters of {@link Quasar}. Times are milliseconds. */
export interface QuasarOptions {
  /** Neighbours: contacts of the routing table, drawn at random. */
  readonly neighbours: number;
  /** How often the filters of the neighbours are fetched. */
  readonly exchangeMs: number;
  /** Steps that a walk may take between two members of the group. */
  readonly ttl: number;
  /** Members and relays that a publication names, so that no walk leads to them again. */
  readonly maxVisited: number;
  /** Publications that are older are refused. */
  readonly maxAgeMs: number;
}

/** Three levels, as in the paper; the rest is for networks of some thousand nodes. */
export const defaultQuasarOptions: QuasarOptions = {
  neighbours: 8,
  exchangeMs: 60_000,
  ttl: 16,
  maxVisited: 32,
  maxAgeMs: 120_000,
};

/** A member of a group gets the bytes of a publication. */
export type QuasarHandler = (payload: Uint8Array, publication: Publication) => void;

/**
 * Quasar as in its paper (Wong and Guha 2008, "Quasar: A Probabilistic Publish-Subscribe System for
 * Social Networks", section 2), to compare {@link PubSub} with. Each node fetches the attenuated
 * filters of its neighbours. A member that sees a publication for the first time sends it to all its
 * neighbours, with itself among the visited; who is no member passes it to the neighbour in whose
 * filter the group is nearest, unless that filter has a visited member as near, or else to a random
 * one, until the steps are used up.
 *
 * Nothing here limits what peers can make a node send, beyond the steps: use {@link PubSub}.
 */
export class Quasar implements Plugin {
  readonly name = 'quasar';
  private readonly options: QuasarOptions;
  private readonly groups = new Map<TopicHash, QuasarHandler>();
  private readonly filters = new Map<NodeId, { contact: Contact; filter: AttenuatedFilter }>();
  private host: PluginHost | undefined;
  private seen: SeenCache | undefined;
  private timer: unknown;
  private stopped = false;

  constructor(options: Partial<QuasarOptions> = {}) {
    this.options = { ...defaultQuasarOptions, ...options };
  }

  install(host: PluginHost): PluginHooks {
    this.host = host;
    this.seen = new SeenCache(this.options.maxAgeMs + 60_000, 100_000, host.clock.now());
    return {
      methods: {
        QUASAR_FILTER: async () => ({ filter: this.filter().encode() }),
        QUASAR_PUBLISH: async (params, { sender }) => this.onPublish(params, sender),
      },
      contactSilent: ({ nodeId }) => {
        this.filters.delete(nodeId);
      },
      start: () => this.exchangeLater(),
      stop: () => {
        this.stopped = true;
        host.clock.clearTimeout(this.timer);
      },
    };
  }

  /** Become a member of a group. */
  subscribe(topic: string, handler: QuasarHandler): void {
    this.groups.set(hashTopic(topic), handler);
  }

  /** Leave a group. */
  unsubscribe(topic: string): void {
    this.groups.delete(hashTopic(topic));
  }

  /** Send something to a group. Nobody says whether it arrives. */
  publish(topic: string, payload: Uint8Array): { id: string } {
    const { identity, clock, random } = this.need();
    const time = clock.now();
    const publication = makePublication(identity, hashTopic(topic), payload, { time, random });
    this.seen!.add(publication.id, time);
    this.fanOut(publication, [identity.nodeId], undefined);
    return { id: publication.id };
  }

  /** Fetch the filters of the neighbours, and find new neighbours for those that are gone. */
  async exchange(): Promise<void> {
    const { node, random } = this.need();
    const missing = this.options.neighbours - this.filters.size;
    const others = node.contacts().filter(({ nodeId }) => !this.filters.has(nodeId));
    const asked = [
      ...[...this.filters.values()].map(({ contact }) => contact),
      ...shuffle(others, random).slice(0, Math.max(0, missing)),
    ];
    await Promise.allSettled(
      asked.map(async (contact) => {
        const answer = await node.call(contact, 'QUASAR_FILTER', {});
        const filter = AttenuatedFilter.parse(field(answer, 'filter'));
        this.filters.set(contact.nodeId, { contact, filter });
      }),
    );
  }

  private need(): PluginHost {
    if (this.host === undefined) {
      throw new KadError('KAD_BAD_PARAMETERS', 'the plugin belongs to no node yet');
    }
    return this.host;
  }

  private exchangeLater(): void {
    const { clock, random } = this.need();
    this.timer = clock.setTimeout(
      () => {
        void this.exchange().finally(() => {
          if (!this.stopped) this.exchangeLater();
        });
      },
      jittered(this.options.exchangeMs, random),
    );
    if (this.timer instanceof Object && 'unref' in this.timer) {
      (this.timer as { unref(): void }).unref();
    }
  }

  /** A member is in its own filter besides its groups, so that it can be told apart. */
  private filter(): AttenuatedFilter {
    const { identity } = this.need();
    const own = this.groups.size === 0 ? [] : [identity.nodeId, ...this.groups.keys()];
    return AttenuatedFilter.of(
      own,
      [...this.filters.values()].map(({ filter }) => filter),
    );
  }

  private onPublish(params: unknown, sender: Contact): unknown {
    const { clock, identity } = this.need();
    const ttl = field(params, 'ttl');
    const visited = field(params, 'visited');
    if (!Number.isInteger(ttl) || (ttl as number) < 0 || (ttl as number) > this.options.ttl) {
      throw new KadError('KAD_BAD_PARAMETERS', `ttl is not 0 to ${this.options.ttl}`);
    }
    const { maxVisited, maxAgeMs } = this.options;
    if (!Array.isArray(visited) || visited.length > maxVisited || !visited.every(isNodeId)) {
      throw new KadError(
        'KAD_BAD_PARAMETERS',
        `visited is not a list of at most ${maxVisited} IDs`,
      );
    }
    const publication = parsePublication(field(params, 'publication'));
    const now = clock.now();
    const handler = this.groups.get(publication.topic);
    if (handler !== undefined && this.seen!.has(publication.id)) return {};
    if (Math.abs(now - publication.time) > maxAgeMs) {
      throw new KadError('KAD_STALE', 'the publication is too old');
    }
    checkPublication(publication);
    if (handler === undefined) {
      this.walk(publication, visited, ttl as number, sender.nodeId);
    } else if (this.seen!.add(publication.id, now)) {
      handler(publication.payload, publication);
      this.fanOut(publication, [...visited, identity.nodeId].slice(-maxVisited), sender.nodeId);
    }
    return {};
  }

  /** From a member, a walk sets out by each neighbour. */
  private fanOut(publication: Publication, visited: NodeId[], from: NodeId | undefined): void {
    for (const { contact } of [...this.filters.values()]) {
      if (contact.nodeId !== from && !visited.includes(contact.nodeId)) {
        this.send(contact, publication, visited, this.options.ttl);
      }
    }
  }

  private walk(publication: Publication, visited: NodeId[], ttl: number, from: NodeId): void {
    if (ttl <= 0) return;
    const { random } = this.need();
    const open = shuffle(
      [...this.filters.values()].filter(
        ({ contact: { nodeId } }) => nodeId !== from && !visited.includes(nodeId),
      ),
      random,
    );
    let best: { contact: Contact; level: number } | undefined;
    for (const { contact, filter } of open) {
      const level = filter.levelOf(publication.topic);
      if (level < 0 || (best !== undefined && best.level <= level)) continue;
      // The nearest member in that direction may be one that has been visited.
      const negated = visited.some((id) => {
        const at = filter.levelOf(id);
        return at >= 0 && at <= level;
      });
      if (!negated) best = { contact, level };
    }
    const next = best?.contact ?? open[0]?.contact;
    if (next !== undefined) this.send(next, publication, visited, ttl - 1);
  }

  private send(to: Contact, { wire }: Publication, visited: NodeId[], ttl: number): void {
    const params = { publication: wire, visited, ttl };
    this.need()
      .node.call(to, 'QUASAR_PUBLISH', params)
      .catch(() => undefined);
  }
}
