import { afterEach, describe, expect, it } from 'vitest';
import { createTlsCredentials, HttpsTransport, Identity, KademliaNode } from '@granary/kad';
import { TEST_PORTS } from './tunnel.test-support.js';
import { Tunnels, type TunnelsOptions } from './tunnels.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: Partial<TunnelsOptions>, bootstrap?: string) {
  const identity = Identity.generate();
  const credentials = await createTlsCredentials(identity);
  const transport = new HttpsTransport({ credentials, listen: { host: '127.0.0.1', port: 0 } });
  const tunnels = new Tunnels({
    server: () => transport.server,
    credentials,
    ports: TEST_PORTS,
    ...options,
  });
  const node = new KademliaNode({ identity, transport, plugins: [tunnels] });
  await node.start();
  cleanups.push(() => node.stop());
  if (bootstrap !== undefined) await node.join([bootstrap]);
  return { node, tunnels, address: node.contact.addresses[0]! };
}

describe('tunnels of a node', () => {
  it('are neither used nor offered by itself where nobody says how it is reached', async () => {
    const { node, tunnels, address } = await start({});
    expect(tunnels.status).toEqual({ through: [], offered: undefined });
    expect(node.contact.addresses).toEqual([address]);
  });

  it('are announced beside its own address, and taken back when they go', async () => {
    const tunnel = await start({ offer: 'always', use: 'never' });
    const other = await start({ use: 'always', count: 1 }, tunnel.address);
    const changes: number[] = [];
    const stopListening = other.tunnels.onChange(({ through }) => changes.push(through.length));
    await expect.poll(() => other.tunnels.status.through.length, { timeout: 20_000 }).toBe(1);
    const [lent] = other.tunnels.status.through;
    expect(other.node.contact.addresses).toEqual([other.address, lent!.address]);
    expect(tunnel.tunnels.status.offered).toMatchObject({ clients: 1 });
    // Whoever leaves in good order tells its clients before it goes.
    await tunnel.node.leave();
    await expect
      .poll(() => other.node.contact.addresses, { timeout: 20_000 })
      .toEqual([other.address]);
    expect(changes).toEqual([1, 0]);
    stopListening();
  });
});
