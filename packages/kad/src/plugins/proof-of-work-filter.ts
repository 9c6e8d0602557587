import type { Contact } from '../contact.js';
import { KadError } from '../errors.js';
import type { Plugin, PluginHooks } from '../plugin.js';
import { meetsDifficulty } from '../proof-of-work.js';

/**
 * Leaves out nodes whose identity did not cost the work that the network asks for (the static crypto
 * puzzle of S/Kademlia, section 4.1): they get no place in the routing table, are not asked in
 * lookups, and get no answers. Clients, which have no addresses and so no part in the routing, may
 * ask without it.
 */
export class ProofOfWorkFilter implements Plugin {
  readonly name = 'proof-of-work';

  /** @param difficulty - leading zero bits, a parameter of the network */
  constructor(private readonly difficulty: number) {}

  install(): PluginHooks {
    const meets = ({ nodeId }: Contact) => meetsDifficulty(nodeId, this.difficulty);
    return {
      admit: meets,
      onRequest: async (request, next) => {
        if (request.sender.addresses.length > 0 && !meets(request.sender)) {
          throw new KadError(
            'KAD_UNPROVEN',
            `this network takes identities of difficulty ${this.difficulty}: make one with that work`,
          );
        }
        return next(request);
      },
    };
  }
}
