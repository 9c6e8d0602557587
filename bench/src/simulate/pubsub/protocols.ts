import { type Plugin, PubSub, type PubSubOptions, Quasar, type Subscription } from '@granary/kad';
import { Flooding } from './flooding.js';
import { GossipSub, GossipSubDiscovery } from './gossipsub.js';

/** A publication has arrived: its ID. */
export type Deliver = (id: string) => void;

/** What one node does in a protocol. */
export interface Participant {
  readonly plugin: Plugin;
  join(topic: string, deliver: Deliver): Promise<void>;
  leave(topic: string): void;
  /** The ID of what was published. */
  publish(topic: string, payload: Uint8Array): Promise<string>;
  /** Questions asked in lookups so far. */
  lookups(): number;
}

/** A pub/sub protocol: makes a participant for each node of a network. */
export type Protocol = (chance: { below(below: number): number }) => () => Participant;

/** The protocols that are compared. */
export const protocols: Record<string, Protocol> = {
  flooding: () => () => {
    const plugin = new Flooding();
    return {
      plugin,
      join: async (topic, deliver) => plugin.join(topic, ({ id }) => deliver(id)),
      leave: (topic) => plugin.leave(topic),
      publish: async (topic, payload) => plugin.publish(topic, payload),
      lookups: () => 0,
    };
  },
  gossipsub: (chance) => {
    const discovery = new GossipSubDiscovery((below) => chance.below(below));
    return () => {
      const plugin = new GossipSub(discovery);
      return {
        plugin,
        join: async (topic, deliver) => plugin.join(topic, ({ id }) => deliver(id)),
        leave: (topic) => plugin.leave(topic),
        publish: async (topic, payload) => plugin.publish(topic, payload),
        lookups: () => 0,
      };
    };
  },
  quasar: () => () => {
    const plugin = new Quasar();
    return {
      plugin,
      join: async (topic, deliver) => {
        plugin.subscribe(topic, (_payload, { id }) => deliver(id));
      },
      leave: (topic) => plugin.unsubscribe(topic),
      publish: async (topic, payload) => plugin.publish(topic, payload).id,
      lookups: () => 0,
    };
  },
  granary: granary({}),
};

/** Our own, with these options. */
export function granary(options: Partial<PubSubOptions>): Protocol {
  return () => () => {
    const plugin = new PubSub(options);
    const open = new Map<string, Subscription>();
    return {
      plugin,
      join: async (topic, deliver) => {
        open.set(topic, await plugin.subscribe(topic, ({ id }) => deliver(id)));
      },
      leave: (topic) => open.get(topic)?.close(),
      // The ID is known only when the neighbours have answered.
      publish: async (topic, payload) => (await plugin.publish(topic, payload)).id,
      lookups: () => plugin.stats.lookupMessages,
    };
  };
}
