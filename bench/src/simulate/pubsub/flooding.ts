import {
  KadError,
  type Plugin,
  type PluginHooks,
  type PluginHost,
  hashTopic,
  makePublication,
  parsePublication,
  type Publication,
} from '@granary/kad';

/**
 * Flooding over the routing table: who sees a publication for the first time sends it to all its
 * contacts. Every node takes part in every topic.
 */
export class Flooding implements Plugin {
  readonly name = 'flooding';
  private readonly seen = new Set<string>();
  private readonly topics = new Map<string, (publication: Publication) => void>();
  private host: PluginHost | undefined;

  install(host: PluginHost): PluginHooks {
    this.host = host;
    return {
      methods: {
        FLOOD_PUSH: async (params, { sender }) => {
          const publication = parsePublication((params as { publication: unknown }).publication);
          if (this.seen.has(publication.id)) return {};
          this.topics.get(publication.topic)?.(publication);
          this.spread(publication, sender.nodeId);
          return {};
        },
      },
    };
  }

  join(topic: string, deliver: (publication: Publication) => void): void {
    this.topics.set(hashTopic(topic), deliver);
  }

  leave(topic: string): void {
    this.topics.delete(hashTopic(topic));
  }

  publish(topic: string, payload: Uint8Array): string {
    if (this.host === undefined) throw new KadError('KAD_STOPPED', 'no node');
    const { identity, clock, random } = this.host;
    const publication = makePublication(identity, hashTopic(topic), payload, {
      time: clock.now(),
      random,
    });
    this.spread(publication, undefined);
    return publication.id;
  }

  private spread(publication: Publication, from: string | undefined): void {
    this.seen.add(publication.id);
    const { node } = this.host!;
    for (const contact of node.contacts()) {
      if (contact.nodeId === from) continue;
      node.call(contact, 'FLOOD_PUSH', { publication: publication.wire }).catch(() => undefined);
    }
  }
}
