import { messageOf } from '../errors.js';
import type { Plugin, PluginHooks, PluginHost } from '../plugin.js';

/**
 * Writes what a node does to its logger, structured: lookups and changes of the routing table at
 * debug level, every request and call at trace level, refused messages at debug level.
 */
export class EventLog implements Plugin {
  readonly name = 'event-log';

  install({ logger, clock }: PluginHost): PluginHooks {
    const timed = async <T>(what: object, message: string, run: () => Promise<T>): Promise<T> => {
      const begun = clock.now();
      try {
        const result = await run();
        logger.trace({ ...what, ms: clock.now() - begun }, message);
        return result;
      } catch (error) {
        const ms = clock.now() - begun;
        logger.trace({ ...what, ms, error: messageOf(error) }, `${message} failed`);
        throw error;
      }
    };
    return {
      onRefused: ({ address, nodeId }, error) =>
        logger.debug({ address, node: nodeId, error: messageOf(error) }, 'a message was refused'),
      onRequest: (request, next) =>
        timed({ method: request.method, node: request.sender.nodeId }, 'a request', () =>
          next(request),
        ),
      onCall: (call, next) =>
        timed({ method: call.method, node: call.to.nodeId }, 'a call', () => next(call)),
      contactAdded: ({ nodeId, addresses }) =>
        logger.debug({ node: nodeId, addresses }, 'a new contact'),
      contactRemoved: ({ nodeId }, reason) =>
        logger.debug({ node: nodeId, reason }, 'a contact left'),
      lookup: ({ target, kind }) => {
        const begun = clock.now();
        return {
          finished: ({ hops, messages, contacts, value }) =>
            logger.debug(
              {
                target,
                kind,
                hops,
                messages,
                found: contacts.length,
                value: value !== undefined,
                ms: clock.now() - begun,
              },
              'a lookup',
            ),
        };
      },
    };
  }
}
