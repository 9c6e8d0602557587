import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import * as https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { createTlsCredentials, identityOfCertificate } from './certificate.js';
import { signContact } from './contact.js';
import { sealEnvelope } from './envelope.js';
import { HttpsTransport } from './https-transport.js';
import { directDialer } from './direct-dialer.js';
import { Identity } from './identity.js';
import { encodeRequest } from './json-rpc.js';
import { KademliaNode } from './kademlia-node.js';
import { LmdbValueStore } from './lmdb-value-store.js';
import { dialTls } from './tls.js';
import { MemoryValueStore } from './value-store.js';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startNode(identity = Identity.generate(), bootstrap?: KademliaNode) {
  const credentials = await createTlsCredentials(identity);
  const transport = new HttpsTransport({ credentials, listen: { host: '127.0.0.1', port: 0 } });
  const node = new KademliaNode({ identity, transport, storage: new MemoryValueStore() });
  cleanups.push(() => node.stop());
  await node.start();
  if (bootstrap !== undefined) await node.join([bootstrap.contact.addresses[0]!]);
  return { node, transport, credentials, port: Number(new URL(transport.addresses[0]!).port) };
}

/** POST bytes as a TLS client of our choice; the answer's status and body. */
function post(
  port: number,
  body: Uint8Array,
  credentials?: { key: string; cert: string },
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = https.request(
      {
        host: '127.0.0.1',
        port,
        path: '/rpc',
        method: 'POST',
        rejectUnauthorized: false,
        ...credentials,
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() }),
        );
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

describe('over real sockets', () => {
  it('joins, looks up, stores and finds', async () => {
    const first = await startNode();
    const nodes = [first.node];
    for (let i = 0; i < 7; i += 1) nodes.push((await startNode(undefined, first.node)).node);
    const { key, stored } = await nodes[2]!.put(Buffer.from('over TLS'));
    expect(stored).toBe(7);
    expect(Buffer.from(await nodes[7]!.get(key)).toString()).toBe('over TLS');
    expect((await nodes[4]!.lookup(nodes[5]!.identity.nodeId)).contacts[0]!.nodeId).toBe(
      nodes[5]!.identity.nodeId,
    );
  });

  it('refuses a server that is not the node that was dialled', async () => {
    const { node, port, transport } = await startNode();
    const asker = await startNode();
    const wrong = Identity.generate().nodeId;
    await expect(
      dialTls({
        dialer: directDialer,
        host: '127.0.0.1',
        port,
        credentials: asker.credentials,
        expectedNodeId: wrong,
      }),
    ).rejects.toMatchObject({ code: 'KAD_IDENTITY_MISMATCH' });
    const contact = { ...node.contact, nodeId: wrong };
    await expect(asker.node.ping(contact)).rejects.toMatchObject({ code: 'KAD_IDENTITY_MISMATCH' });
    await expect(asker.node.resolve(`${transport.addresses[0]}/${wrong}`)).rejects.toMatchObject({
      code: 'KAD_IDENTITY_MISMATCH',
    });
  });

  it('refuses a server without a bound certificate, and one with a stolen binding', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'granary-tls-'));
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
        ...['-keyout', join(directory, 'key'), '-out', join(directory, 'cert'), '-subj', '/CN=x'],
      ],
      { stdio: 'ignore' },
    );
    const server = tls.createServer({
      key: readFileSync(join(directory, 'key')),
      cert: readFileSync(join(directory, 'cert')),
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => new Promise((resolve) => server.close(() => resolve())));
    const { port } = server.address() as { port: number };
    const credentials = await createTlsCredentials(Identity.generate());
    await expect(
      dialTls({ dialer: directDialer, host: '127.0.0.1', port, credentials }),
    ).rejects.toMatchObject({
      code: 'KAD_BAD_CERTIFICATE',
    });
    // Somebody else's certificate without its key is of no use, and neither is a certificate that
    // was changed.
    const der = new Uint8Array(
      Buffer.from(credentials.cert.replace(/-----.*-----|\s/g, ''), 'base64'),
    );
    expect(identityOfCertificate(der).nodeId).toMatch(/^[0-9a-f]{64}$/);
    for (let at = 0; at < der.length; at += 7) {
      const changed = Uint8Array.from(der);
      changed[at]! ^= 1;
      expect(() => identityOfCertificate(changed), `byte ${at}`).toThrow(/TLS certificate/);
    }
  });

  it('refuses a client that is not who its message says, or has no certificate', async () => {
    const { node, port } = await startNode();
    const alice = Identity.generate();
    const mallory = Identity.generate();
    const message = (time = Date.now(), recipient = node.identity.nodeId) =>
      sealEnvelope(alice, {
        sender: signContact(alice, { addresses: [], sequence: 1 }),
        recipient,
        nonce: Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('hex'),
        kind: 'request',
        time,
        payload: encodeRequest({ method: 'PING', params: {}, id: '1' }),
      });
    const own = await createTlsCredentials(alice);
    const good = message();
    expect((await post(port, good, own)).status).toBe(200);
    expect((await post(port, good, own)).text).toContain('KAD_REPLAYED');
    expect((await post(port, message(Date.now() - 61_000), own)).text).toContain('KAD_STALE');
    expect((await post(port, message(Date.now(), alice.nodeId), own)).text).toContain(
      'KAD_MISADDRESSED',
    );
    const forged = Uint8Array.from(message());
    forged[0] = forged[0] === 0x61 ? 0x62 : 0x61;
    expect((await post(port, forged, own)).text).toContain('KAD_BAD_SIGNATURE');
    const theirs = await createTlsCredentials(mallory);
    expect((await post(port, message(), theirs)).text).toContain('KAD_IDENTITY_MISMATCH');
    expect((await post(port, message())).text).toContain('KAD_BAD_CERTIFICATE');
    expect((await post(port, new Uint8Array(300_000), own)).text).toContain('KAD_TOO_LARGE');
    expect(node.contacts()).toEqual([]);
  });

  it('says that a port is in use', async () => {
    const { port } = await startNode();
    const identity = Identity.generate();
    const transport = new HttpsTransport({
      credentials: await createTlsCredentials(identity),
      listen: { host: '127.0.0.1', port },
    });
    const node = new KademliaNode({ identity, transport, storage: new MemoryValueStore() });
    await expect(node.start()).rejects.toMatchObject({ code: 'KAD_PORT_IN_USE' });
    await node.stop();
  });

  it('gives up on a server that accepts and says nothing', async () => {
    const { createServer } = await import('node:net');
    const sockets: { destroy(): void }[] = [];
    const server = createServer((socket) => {
      sockets.push(socket.resume());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    });
    const { port } = server.address() as { port: number };
    const credentials = await createTlsCredentials(Identity.generate());
    await expect(
      dialTls({ dialer: directDialer, host: '127.0.0.1', port, credentials, timeoutMs: 100 }),
    ).rejects.toMatchObject({ code: 'KAD_TIMEOUT' });
  });
});

describe('the persistent value store', () => {
  it('has what was put when it is opened again, and keeps its limit', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'granary-values-')), 'values.lmdb');
    const entry = { value: Uint8Array.of(1, 2, 3), expires: 5, refreshed: 4 };
    const store = LmdbValueStore.open(path, 10);
    await store.put('a', entry);
    await store.put('b', { ...entry, value: new Uint8Array(7) });
    await expect(store.put('c', entry)).rejects.toMatchObject({ code: 'KAD_FULL' });
    await store.close();
    const again = LmdbValueStore.open(path, 10);
    expect(again.get('a')).toEqual(entry);
    expect([...again.entries()].map(({ key }) => key)).toEqual(['a', 'b']);
    await expect(again.put('c', entry)).rejects.toMatchObject({ code: 'KAD_FULL' });
    await again.delete('b');
    await again.put('c', entry);
    expect(again.get('b')).toBeUndefined();
    await again.close();
  });
});
