import type { KademliaNode, Plugin } from '@granary/kad';
import type { Context } from './context.js';

/**
 * Start a node of the DHT with an identity for this call only. It has joined nothing, and whoever asked for
 * it stops it.
 */
export async function startVisitingNode(
  { config, dialer, logger }: Pick<Context, 'config' | 'dialer' | 'logger'>,
  plugins: readonly Plugin[] = [],
): Promise<KademliaNode> {
  const {
    HttpsTransport,
    Identity,
    KademliaNode,
    MemoryValueStore,
    createTlsCredentials,
    proxiedKademliaOptions,
    standardPlugins,
  } = await import('@granary/kad');
  const identity = Identity.generate();
  const node = new KademliaNode({
    identity,
    // It only dials, so that its transport has nothing to log.
    transport: new HttpsTransport({
      credentials: await createTlsCredentials(identity),
      ...(dialer !== undefined && { dialer }),
    }),
    ...(dialer !== undefined && { options: proxiedKademliaOptions }),
    storage: new MemoryValueStore(),
    logger,
    plugins: [...standardPlugins({ difficulty: config.difficulty ?? 0 }), ...plugins],
  });
  await node.start();
  return node;
}
