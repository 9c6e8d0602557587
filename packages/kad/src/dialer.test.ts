import { type AddressInfo, connect, createServer } from 'node:net';
import { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { createTlsCredentials } from './certificate.js';
import type { Dialer } from './dialer.js';
import { directDialer } from './direct-dialer.js';
import { KadError } from './errors.js';
import { HttpsTransport } from './https-transport.js';
import { Identity } from './identity.js';
import { KademliaNode } from './kademlia-node.js';
import { dialTls, peerIdentityOf } from './tls.js';
import { MemoryValueStore } from './value-store.js';
import { WebSocketListener } from './websocket-listener.js';
import { WebSocketTransport } from './websocket-transport.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const limits = { timeoutMs: 5_000 };

/** Leads every name to a port of this machine, over a stream that is no socket, and counts. */
function ledTo(port: () => number, more: Partial<Dialer> = {}): Dialer & { dialled: string[] } {
  const dialled: string[] = [];
  return {
    direct: false,
    slackMs: 0,
    dials: () => true,
    dial: async (host, at) => {
      dialled.push(`${host}:${at}`);
      const socket = connect(port(), '127.0.0.1');
      cleanups.push(() => socket.destroy());
      return Duplex.from({ readable: socket, writable: socket });
    },
    ...more,
    dialled,
  };
}

async function makeNode(options: { dialer?: Dialer; listen?: boolean; announce?: string[] } = {}) {
  const identity = Identity.generate();
  const { dialer, announce } = options;
  const transport = new HttpsTransport({
    credentials: await createTlsCredentials(identity),
    ...(options.listen === true && { listen: { host: '127.0.0.1', port: 0 } }),
    ...(dialer !== undefined && { dialer }),
    ...(announce !== undefined && { announce }),
  });
  const node = new KademliaNode({ identity, transport, storage: new MemoryValueStore() });
  cleanups.push(() => node.stop());
  await node.start();
  const port = (transport.server?.address() as AddressInfo | undefined)?.port ?? 0;
  return { identity, node, transport, port };
}

describe('the direct dialer', () => {
  it('opens connections, and says why it can not', async () => {
    const server = createServer((socket) => void socket.end('hello'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const stream = await directDialer.dial('127.0.0.1', port, limits);
    const got: Buffer[] = [];
    for await (const part of stream) got.push(part as Buffer);
    expect(Buffer.concat(got).toString()).toBe('hello');
    await new Promise((resolve) => server.close(resolve));
    await expect(directDialer.dial('127.0.0.1', port, limits)).rejects.toMatchObject({
      code: 'KAD_UNREACHABLE',
      message: expect.stringContaining(`127.0.0.1:${port}`) as string,
    });
    const signal = AbortSignal.abort();
    await expect(directDialer.dial('127.0.0.1', port, { ...limits, signal })).rejects.toMatchObject(
      { code: 'KAD_ABORTED' },
    );
  });
});

describe('whoever speaks to nodes', () => {
  it('does it through the dialer alone, names and all, and checks who is there', async () => {
    const server = await makeNode({ listen: true });
    const dialer = ledTo(() => server.port);
    const asker = await makeNode({ dialer });
    const address = 'https://nowhere.test:4600';
    const contact = await asker.node.resolve(address);
    expect(contact.nodeId).toBe(server.identity.nodeId);
    await asker.node.ping({ ...contact, addresses: [address] });
    expect(new Set(dialer.dialled)).toEqual(new Set(['nowhere.test:4600']));
    const stranger = Identity.generate();
    await expect(
      asker.transport.request({ nodeId: stranger.nodeId, addresses: [address] }, new Uint8Array(1)),
    ).rejects.toMatchObject({ code: 'KAD_IDENTITY_MISMATCH' });
    const tls = await dialTls({ host: 'nowhere.test', port: 1, dialer, ...limits });
    expect(peerIdentityOf(tls)?.nodeId).toBe(server.identity.nodeId);
    tls.destroy();
  });

  it('does so over WebSockets, inside TLS and not', async () => {
    for (const secure of [true, false]) {
      const identity = Identity.generate();
      const listener = WebSocketListener.standalone({
        host: '127.0.0.1',
        port: 0,
        ...(secure && { tls: await createTlsCredentials(identity) }),
      });
      const server = new WebSocketTransport({ identity, listener });
      cleanups.push(() => server.close());
      await server.listen(async (message) => message);
      const port = Number(new URL(server.addresses[0]!.replace(/^ws/, 'http')).port);
      const dialer = ledTo(() => port);
      const asker = new WebSocketTransport({ identity: Identity.generate(), dialer });
      cleanups.push(() => asker.close());
      await asker.listen(async (message) => message);
      const address = `${secure ? 'wss' : 'ws'}://nowhere.test:4600`;
      const to = { nodeId: identity.nodeId, addresses: [address] };
      expect([...(await asker.request(to, Uint8Array.of(7)))]).toEqual([7]);
      expect(dialer.dialled).toEqual(['nowhere.test:4600']);
    }
  });

  it('does not count a node as dead that it has no way to, nor one when its proxy is down', async () => {
    const server = await makeNode({ listen: true });
    let down = false;
    const dialer = ledTo(() => server.port, { dials: (host) => !host.endsWith('.far') });
    const { dial } = dialer;
    dialer.dial = async (...args) => {
      if (down) throw new KadError('KAD_PROXY', 'the proxy is down');
      return dial(...args);
    };
    const asker = await makeNode({ dialer });
    const contact = await asker.node.resolve('https://nowhere.test:4600');
    await asker.node.ping({ ...contact, addresses: ['https://nowhere.test:4600'] });
    expect(asker.node.contacts()).toHaveLength(1);
    expect(asker.transport.dials('https://x.far:1')).toBe(false);
    const far = { nodeId: server.identity.nodeId, addresses: ['https://x.far:1'] };
    await expect(asker.transport.request(far, new Uint8Array(1))).rejects.toMatchObject({
      code: 'KAD_BAD_ADDRESS',
    });
    down = true;
    const again = { ...contact, addresses: ['https://elsewhere.test:4600'] };
    await expect(asker.node.ping(again)).rejects.toMatchObject({ code: 'KAD_PROXY' });
    expect(asker.node.contacts()).toHaveLength(1);
  });

  it('has the time that the way takes besides its own', async () => {
    const server = await makeNode({ listen: true });
    const slow = ledTo(() => server.port, { slackMs: 5_000 });
    const { dial } = slow;
    slow.dial = async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      return dial(...args);
    };
    const asker = await makeNode({ dialer: slow });
    const found = asker.transport.identify('https://nowhere.test:1', { timeoutMs: 100 });
    expect(await found).toBe(server.identity.nodeId);
  });

  it('announces what it is told to and nothing else, unless it dials directly', async () => {
    const dialer = ledTo(() => 0);
    expect((await makeNode({ listen: true, dialer })).transport.addresses).toEqual([]);
    const announce = ['https://nowhere.test:4600'];
    const told = await makeNode({ listen: true, dialer, announce });
    expect(told.transport.addresses).toEqual(announce);
    const direct = await makeNode({ listen: true });
    expect(direct.transport.addresses).toEqual([`https://127.0.0.1:${direct.port}`]);
  });
});
