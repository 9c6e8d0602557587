import { LruMap } from '../lru-map.js';
import type { NodeId } from '../node-id.js';
import type { Plugin, PluginHooks, PluginHost } from '../plugin.js';

/** For how long a contact that said goodbye is not asked on hearsay, in milliseconds. */
const REMEMBER_MS = 10 * 60_000;
/** Goodbyes under way at one time. */
const PARALLEL = 16;

/**
 * Leaving in good order: a node that goes tells its contacts, which take it out at once instead of
 * finding out by waiting. Only the node itself can say it, since every message is signed.
 */
export class Departures implements Plugin {
  readonly name = 'departures';
  private readonly gone = new LruMap<NodeId, { sequence: number; at: number }>(1000);

  install({ node, clock }: PluginHost): PluginHooks {
    return {
      methods: {
        LEAVE: async (_params, { sender }) => {
          this.gone.set(sender.nodeId, { sequence: sender.sequence, at: clock.now() });
          node.drop(sender, 'left');
          return {};
        },
      },
      admit: (contact, source) => {
        const known = this.gone.get(contact.nodeId);
        if (known === undefined) return true;
        // Whoever answers, or has a newer contact, is back.
        const back = source === 'answered us' || contact.sequence > known.sequence;
        if (back || clock.now() - known.at > REMEMBER_MS) {
          this.gone.delete(contact.nodeId);
          return true;
        }
        return false;
      },
      leave: async (signal) => {
        const waiting = node.contacts();
        const tell = async () => {
          for (let to = waiting.pop(); to !== undefined && !signal.aborted; to = waiting.pop()) {
            await node.call(to, 'LEAVE', {}, { signal }).catch(() => undefined);
          }
        };
        await Promise.all(Array.from({ length: PARALLEL }, tell));
      },
    };
  }
}
