import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { once } from 'node:events';
import * as http from 'node:http';
import * as net from 'node:net';
import * as tls from 'node:tls';
import * as x509 from '@peculiar/x509';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import {
  IDENTITY_EXTENSION,
  type TlsCredentials,
  createTlsCredentials,
  identityOfCertificate,
} from './certificate.js';
import { signContact } from './contact.js';
import { MAX_MESSAGE_SIZE, sealEnvelope } from './envelope.js';
import { HttpsTransport, type HttpsTransportOptions } from './https-transport.js';
import { directDialer } from './direct-dialer.js';
import { Identity } from './identity.js';
import { KademliaNode } from './kademlia-node.js';
import { seededRandom } from './memory-nodes.test-support.js';
import { sha256 } from './sha256.js';
import { dialTls, peerIdentityOf } from './tls.js';
import { MemoryValueStore } from './value-store.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startNode(more: Partial<HttpsTransportOptions> = {}) {
  const identity = Identity.generate();
  const credentials = await createTlsCredentials(identity);
  const transport = new HttpsTransport({
    credentials,
    listen: { host: '127.0.0.1', port: 0 },
    ...more,
  });
  const node = new KademliaNode({ identity, transport, storage: new MemoryValueStore() });
  cleanups.push(() => node.stop());
  await node.start();
  const { port } = transport.server!.address() as net.AddressInfo;
  return { identity, credentials, transport, node, port };
}

/** A node that asks and does not listen. */
async function startClient(more: Partial<HttpsTransportOptions> = {}) {
  const identity = Identity.generate();
  const credentials = await createTlsCredentials(identity);
  const transport = new HttpsTransport({ credentials, ...more });
  const node = new KademliaNode({ identity, transport, storage: new MemoryValueStore() });
  cleanups.push(() => node.stop());
  await node.start();
  return { identity, credentials, transport, node };
}

/** Make a certificate by hand, with what an honest node would not put into it. */
async function certificate(options: {
  binding?: (spki: Uint8Array) => Uint8Array;
  from?: number;
  until?: number;
  signWith?: webcrypto.CryptoKeyPair;
}): Promise<TlsCredentials> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const { subtle } = webcrypto;
  const keys = await subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const spki = new Uint8Array(await subtle.exportKey('spki', keys.publicKey));
  const made = await x509.X509CertificateGenerator.create(
    {
      serialNumber: '01',
      subject: 'CN=forged',
      issuer: 'CN=forged',
      notBefore: new Date(Date.now() + (options.from ?? -3_600_000)),
      notAfter: new Date(Date.now() + (options.until ?? 3_600_000)),
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey: (options.signWith ?? keys).privateKey,
      extensions:
        options.binding === undefined
          ? []
          : [new x509.Extension(IDENTITY_EXTENSION, false, Buffer.from(options.binding(spki)))],
    },
    webcrypto,
  );
  const pkcs8 = Buffer.from(await subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
    cert: made.toString('pem'),
  };
}

const identity = Identity.generate();
const honest = (spki: Uint8Array) => {
  const digest = sha256(Buffer.concat([Buffer.from('granary/1 tls\0'), spki]));
  return Buffer.concat([identity.publicKey, identity.sign(digest)]);
};

function derOf({ cert }: TlsCredentials): Uint8Array {
  return Buffer.from(cert.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64');
}

/** A TLS server that shows these credentials and counts the bytes of application data it gets. */
async function impostor(credentials: TlsCredentials, options: tls.TlsOptions = {}) {
  let received = 0;
  let connections = 0;
  const server = tls.createServer(
    { ...credentials, requestCert: true, rejectUnauthorized: false, ...options },
    (socket) => {
      connections += 1;
      socket.on('data', (part: Buffer) => (received += part.length));
      socket.on('error', () => undefined);
    },
  );
  server.on('tlsClientError', () => undefined);
  const raw = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => raw.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    for (const socket of raw) socket.destroy();
    server.close();
  });
  const { port } = server.address() as net.AddressInfo;
  return { port, received: () => received, connections: () => connections };
}

const forgeries: [string, () => Promise<TlsCredentials>][] = [
  ['no binding', () => certificate({})],
  ['a binding that is empty', () => certificate({ binding: () => new Uint8Array(0) })],
  ['a binding that is cut', () => certificate({ binding: (spki) => honest(spki).subarray(1) })],
  [
    'a binding to another TLS key',
    () => certificate({ binding: () => honest(new Uint8Array(91)) }),
  ],
  [
    'a binding that another identity signed',
    () =>
      certificate({
        binding: (spki) => {
          const bytes = honest(spki);
          bytes.set(Identity.generate().publicKey);
          return bytes;
        },
      }),
  ],
  [
    'a binding signed for another purpose',
    () =>
      certificate({
        binding: (spki) => Buffer.concat([identity.publicKey, identity.sign(sha256(spki))]),
      }),
  ],
  ['an end in the past', () => certificate({ binding: honest, until: -1000 })],
  ['a beginning in the future', () => certificate({ binding: honest, from: 3_000_000 })],
  [
    'a signature by another key',
    async () =>
      certificate({
        binding: honest,
        signWith: await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
          'sign',
          'verify',
        ]),
      }),
  ],
];

describe('a certificate', () => {
  it('names the identity that it is bound to', async () => {
    const credentials = await createTlsCredentials(identity);
    expect(identityOfCertificate(derOf(credentials))).toMatchObject({
      nodeId: identity.nodeId,
      publicKey: identity.publicKey,
    });
    // This test's own certificates are good, too, when nothing in them is wrong.
    const byHand = await certificate({ binding: honest });
    expect(identityOfCertificate(derOf(byHand)).nodeId).toBe(identity.nodeId);
  });

  it.each(forgeries)('is refused with %s', async (_name, make) => {
    const der = derOf(await make());
    expect(() => identityOfCertificate(der)).toThrow(
      expect.objectContaining({ code: 'KAD_BAD_CERTIFICATE' }),
    );
  });

  it('is good until it ends, also when it was checked before', async () => {
    const der = derOf(await createTlsCredentials(identity));
    const at = (time: number) => ({
      now: () => time,
      setTimeout: () => undefined,
      clearTimeout: () => undefined,
    });
    const year = 365 * 24 * 3600 * 1000;
    expect(identityOfCertificate(der, at(Date.now())).nodeId).toBe(identity.nodeId);
    expect(identityOfCertificate(der, at(Date.now() + 9 * year)).nodeId).toBe(identity.nodeId);
    expect(() => identityOfCertificate(der, at(Date.now() + 11 * year))).toThrow(/clocks/);
  });

  it('throws nothing but its own error for bytes that are none', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(() => identityOfCertificate(bytes)).toThrow(
          expect.objectContaining({ code: 'KAD_BAD_CERTIFICATE' }),
        );
      }),
    );
    expect(() => identityOfCertificate(new Uint8Array(20_000))).toThrow(/too long/);
  });

  it('names nobody else after any of its bits was changed', async () => {
    const der = derOf(await createTlsCredentials(identity));
    const random = seededRandom('flips');
    for (let i = 0; i < 150; i += 1) {
      const wrong = Uint8Array.from(der);
      const bit = Buffer.from(random(4)).readUInt32BE() % (8 * der.length);
      wrong[bit >> 3]! ^= 1 << (bit & 7);
      let name = identity.nodeId;
      try {
        name = identityOfCertificate(wrong).nodeId;
      } catch (error) {
        expect(error).toMatchObject({ code: 'KAD_BAD_CERTIFICATE' });
      }
      expect(name).toBe(identity.nodeId);
    }
  });
});

describe('dialling', () => {
  it.each(forgeries)('refuses a server with %s, and tells it nothing', async (_name, make) => {
    const server = await impostor(await make());
    const { node } = await startClient();
    const contact = signContact(identity, {
      addresses: [`https://127.0.0.1:${server.port}`],
      sequence: 1,
    });
    await expect(node.ping(contact)).rejects.toMatchObject({ code: 'KAD_BAD_CERTIFICATE' });
    expect(server.received()).toBe(0);
  });

  it('refuses an honest server that is not the node it asked for, and tells it nothing', async () => {
    const other = await impostor(await createTlsCredentials(Identity.generate()));
    const { node } = await startClient();
    const contact = signContact(identity, {
      addresses: [`https://127.0.0.1:${other.port}`],
      sequence: 1,
    });
    await expect(node.ping(contact)).rejects.toMatchObject({ code: 'KAD_IDENTITY_MISMATCH' });
    expect(other.received()).toBe(0);
  });

  it('refuses TLS before 1.3', async () => {
    const old = await impostor(await createTlsCredentials(identity), { maxVersion: 'TLSv1.2' });
    const credentials = await createTlsCredentials(Identity.generate());
    await expect(
      dialTls({ dialer: directDialer, host: '127.0.0.1', port: old.port, credentials }),
    ).rejects.toMatchObject({ code: 'KAD_UNREACHABLE' });
  });

  it('tells who is there, and shows who it is', async () => {
    const { node, port } = await startNode();
    const me = Identity.generate();
    const credentials = await createTlsCredentials(me);
    const socket = await dialTls({
      dialer: directDialer,
      host: '127.0.0.1',
      port,
      credentials,
      expectedNodeId: node.identity.nodeId,
    });
    expect(peerIdentityOf(socket)?.nodeId).toBe(node.identity.nodeId);
    expect(socket.getProtocol()).toBe('TLSv1.3');
    socket.destroy();
  });

  it('ends when it is aborted, before and in the middle', async () => {
    const silent = net.createServer((socket) => cleanups.push(() => socket.destroy()));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    cleanups.push(() => void silent.close());
    const { port } = silent.address() as net.AddressInfo;
    const credentials = await createTlsCredentials(Identity.generate());
    const aborted = AbortSignal.abort();
    await expect(
      dialTls({ dialer: directDialer, host: '127.0.0.1', port, credentials, signal: aborted }),
    ).rejects.toMatchObject({ code: 'KAD_ABORTED' });
    const controller = new AbortController();
    const dial = dialTls({
      dialer: directDialer,
      host: '127.0.0.1',
      port,
      credentials,
      signal: controller.signal,
    });
    silent.once('connection', () => controller.abort());
    await expect(dial).rejects.toMatchObject({ code: 'KAD_ABORTED' });
  });

  it('says that nobody is there', async () => {
    const server = net.createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    server.close();
    await once(server, 'close');
    const credentials = await createTlsCredentials(Identity.generate());
    await expect(
      dialTls({ dialer: directDialer, host: '127.0.0.1', port, credentials }),
    ).rejects.toMatchObject({
      code: 'KAD_UNREACHABLE',
      message: expect.stringContaining(`127.0.0.1:${port}`) as string,
    });
  });
});

/** Write raw bytes over TLS; everything that comes back until the server closes. */
async function rawExchange(
  port: number,
  credentials: Partial<TlsCredentials>,
  parts: readonly Uint8Array[],
): Promise<string> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    rejectUnauthorized: false,
    ...credentials,
  });
  const answer: Buffer[] = [];
  socket.on('data', (part: Buffer) => answer.push(part));
  // A server that has had enough resets the connection.
  socket.on('error', () => undefined);
  socket.on('secureConnect', () => {
    for (const part of parts) socket.write(part);
    socket.end();
  });
  await new Promise((resolve) => socket.once('close', resolve));
  return Buffer.concat(answer).toString('latin1');
}

function post(body: Uint8Array, headers = '', path = '/rpc'): Uint8Array[] {
  const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n${headers}`;
  return [Buffer.from(`${head}Connection: close\r\n\r\n`), body];
}

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);

describe('the HTTPS server', () => {
  it.each(forgeries)('refuses a client with %s', async (_name, make) => {
    const { node, port } = await startNode();
    const sender = signContact(identity, { addresses: [], sequence: 1 });
    const message = sealEnvelope(identity, {
      sender,
      recipient: node.identity.nodeId,
      nonce: '0'.repeat(32),
      kind: 'request',
      time: Date.now(),
      payload: '{}',
    });
    const answer = await rawExchange(port, await make(), post(message));
    expect(statusOf(answer)).toBe(401);
    expect(answer).toContain('KAD_BAD_CERTIFICATE');
    expect(node.contacts()).toEqual([]);
  });

  it('refuses a client without a certificate, and one that sends what another signed', async () => {
    const { node, port } = await startNode();
    const message = sealEnvelope(identity, {
      sender: signContact(identity, { addresses: [], sequence: 1 }),
      recipient: node.identity.nodeId,
      nonce: '0'.repeat(32),
      kind: 'request',
      time: Date.now(),
      payload: '{}',
    });
    expect(statusOf(await rawExchange(port, {}, post(message)))).toBe(401);
    const other = await createTlsCredentials(Identity.generate());
    const answer = await rawExchange(port, other, post(message));
    expect(statusOf(answer)).toBe(401);
    expect(answer).toContain('KAD_IDENTITY_MISMATCH');
    const own = await createTlsCredentials(identity);
    expect(statusOf(await rawExchange(port, own, post(message)))).toBe(200);
  });

  it('refuses other paths and methods with a typed error', async () => {
    const { port, credentials } = await startNode();
    for (const [request, status, code] of [
      ['GET /rpc HTTP/1.1', 405, 'KAD_METHOD_NOT_FOUND'],
      ['GET / HTTP/1.1', 404, 'KAD_NOT_FOUND'],
      ['GET /rpc?x HTTP/1.1', 404, 'KAD_NOT_FOUND'],
      ['POST /rpc/../rpc HTTP/1.1', 404, 'KAD_NOT_FOUND'],
    ] as const) {
      const bytes = Buffer.from(`${request}\r\nHost: x\r\nConnection: close\r\n\r\n`);
      const answer = await rawExchange(port, credentials, [bytes]);
      expect(statusOf(answer)).toBe(status);
      expect(JSON.parse(answer.split('\r\n\r\n')[1]!)).toMatchObject({ error: { code } });
    }
  });

  it('offers other paths to whoever wants them, and survives a handler that throws', async () => {
    const { port, credentials } = await startNode({
      onRequest: (request, response) => {
        if (request.url === '/throws') throw new Error('/home/secret');
        if (request.url !== '/mine') return false;
        response.end('mine');
        return true;
      },
    });
    const get = (path: string) =>
      rawExchange(port, credentials, [
        Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
      ]);
    expect(await get('/mine')).toContain('mine');
    expect(statusOf(await get('/other'))).toBe(404);
    const answer = await get('/throws');
    expect(statusOf(answer)).toBe(500);
    expect(answer).not.toContain('secret');
  });

  it('refuses a body that is too large, announced or not', async () => {
    const { node, port, credentials } = await startNode();
    const large = Buffer.alloc(MAX_MESSAGE_SIZE + 1, 97);
    expect(statusOf(await rawExchange(port, credentials, post(large)))).toBe(413);
    const chunked = Buffer.from(
      'POST /rpc HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n40001\r\n',
    );
    const answer = await rawExchange(port, credentials, [chunked, large, Buffer.from('\r\n')]);
    expect(statusOf(answer)).toBe(413);
    const { node: client } = await startClient();
    await expect(client.ping(node.contact)).resolves.toBeGreaterThanOrEqual(0);
  });

  it('lives through some hundred malformed requests, learns nobody, and still answers', async () => {
    const { node, port, credentials } = await startNode();
    const sealed = sealEnvelope(identity, {
      sender: signContact(identity, { addresses: ['https://127.0.0.1:1'], sequence: 1 }),
      recipient: node.identity.nodeId,
      nonce: '0'.repeat(32),
      kind: 'request',
      time: Date.now(),
      payload: '{"jsonrpc":"2.0","method":"PING","id":"1"}',
    });
    const random = seededRandom('malformed');
    const number = (below: number) => Buffer.from(random(4)).readUInt32BE() % below;
    const makers: (() => Uint8Array[])[] = [
      () => [random(1 + number(300))],
      () => post(random(number(2000))),
      () => post(Buffer.from('['.repeat(number(50_000)))),
      () => {
        const wrong = Uint8Array.from(sealed);
        wrong[number(wrong.length)]! ^= 1 + number(255);
        return post(wrong);
      },
      () => post(sealed.subarray(0, number(sealed.length))),
      () => post(Buffer.concat([sealed.subarray(0, 128), random(number(500))])),
      () => [Buffer.from(`POST /rpc HTTP/1.1\r\nContent-Length: ${number(9)}x\r\n\r\n`)],
      () => [Buffer.from(`POST /rpc HTTP/1.1\r\nX: ${'y'.repeat(number(40_000))}\r\n\r\n`)],
      () => [Buffer.from('CONNECT /rpc HTTP/1.1\r\nHost: x\r\n\r\n'), random(9)],
      () => [
        Buffer.from(
          'GET /rpc HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
        ),
        random(20),
      ],
      () => [Buffer.from('POST /rpc HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ')],
    ];
    for (let i = 0; i < 300; i += 1) {
      const answer = await rawExchange(port, credentials, makers[i % makers.length]!());
      if (answer !== '') {
        expect(statusOf(answer), answer).toBeGreaterThanOrEqual(400);
        expect(answer).not.toMatch(/\.js:\d|\.ts:\d|node:internal/);
      }
    }
    expect(node.contacts()).toEqual([]);
    const { node: client } = await startClient();
    await expect(client.ping(node.contact)).resolves.toBeGreaterThanOrEqual(0);
  });

  it('lives through bytes that are not TLS, and connections that end at once', async () => {
    const { node, port } = await startNode();
    const random = seededRandom('not TLS');
    for (let i = 0; i < 60; i += 1) {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      if (i % 3 === 0) socket.destroy();
      else if (i % 3 === 1) socket.end(random(1 + i * 7));
      else socket.end(Buffer.concat([Buffer.from('160301010001', 'hex'), random(100)]));
      // Data has to be read for the end to be seen.
      socket.resume();
      if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
    }
    const { node: client } = await startClient();
    await expect(client.ping(node.contact)).resolves.toBeGreaterThanOrEqual(0);
  });

  it('takes no more connections than it was told', async () => {
    const { port, credentials } = await startNode({ maxConnections: 3 });
    const sockets = await Promise.all(
      Array.from({ length: 3 }, () =>
        dialTls({ dialer: directDialer, host: '127.0.0.1', port, credentials }),
      ),
    );
    await expect(
      dialTls({ dialer: directDialer, host: '127.0.0.1', port, credentials }),
    ).rejects.toMatchObject({
      code: 'KAD_UNREACHABLE',
    });
    for (const socket of sockets) socket.destroy();
  });
});

describe('a client of the transport', () => {
  /** A server with a good certificate that answers HTTP as we like. */
  async function answering(handler: http.RequestListener) {
    const credentials = await createTlsCredentials(identity);
    const server = http.createServer(handler);
    const secure = tls.createServer(
      { ...credentials, requestCert: true, rejectUnauthorized: false },
      (socket) => server.emit('connection', socket),
    );
    const raw = new Set<net.Socket>();
    secure.on('connection', (socket: net.Socket) => raw.add(socket));
    secure.listen(0, '127.0.0.1');
    await once(secure, 'listening');
    cleanups.push(() => {
      for (const socket of raw) socket.destroy();
      secure.close();
    });
    const { port } = secure.address() as net.AddressInfo;
    return signContact(identity, { addresses: [`https://127.0.0.1:${port}`], sequence: 1 });
  }

  it('refuses an answer that is too large, announced or not', async () => {
    const { node } = await startClient();
    const announced = await answering((_request, response) => {
      response.writeHead(200, { 'content-length': MAX_MESSAGE_SIZE + 1 });
      response.write('x');
    });
    await expect(node.ping(announced)).rejects.toMatchObject({ code: 'KAD_TOO_LARGE' });
    const endless = await answering((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on('drain', more);
      more();
    });
    await expect(node.ping(endless)).rejects.toMatchObject({ code: 'KAD_TOO_LARGE' });
  });

  it('says how it was refused, whatever the refusal looks like', async () => {
    const { node } = await startClient();
    const texts = ['', 'teapot', '{"error":{"code":"KAD_BUSY","message":"later"}}', 'null', '[1]'];
    for (const text of texts) {
      const contact = await answering((_request, response) => {
        response.writeHead(418);
        response.end(text);
      });
      await expect(node.ping(contact)).rejects.toMatchObject({
        code: 'KAD_REMOTE',
        message: expect.stringContaining('418') as string,
      });
    }
  });

  it('is not content with an answer that is not signed, or cut off', async () => {
    const { node } = await startClient();
    const unsigned = await answering((_request, response) => response.end('{"jsonrpc":"2.0"}'));
    await expect(node.ping(unsigned)).rejects.toMatchObject({ code: 'KAD_UNSIGNED' });
    const cut = await answering((_request, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('x', () => response.destroy());
    });
    await expect(node.ping(cut)).rejects.toMatchObject({ code: 'KAD_UNREACHABLE' });
    expect(node.contacts()).toEqual([]);
  });

  it('does not wait for ever for an answer', async () => {
    const { node } = await startClient();
    const contact = await answering(() => undefined);
    await expect(node.ping(contact, { timeoutMs: 200 })).rejects.toMatchObject({
      code: 'KAD_TIMEOUT',
    });
  });

  it('stops waiting when it is told to', async () => {
    const { node } = await startClient();
    const controller = new AbortController();
    const contact = await answering(() => controller.abort());
    await expect(node.ping(contact, { signal: controller.signal })).rejects.toMatchObject({
      code: 'KAD_ABORTED',
    });
  });

  it('uses one connection for one question after another', async () => {
    const { node, transport } = await startNode();
    const { node: client } = await startClient();
    let connections = 0;
    transport.server!.on('secureConnection', () => (connections += 1));
    for (let i = 0; i < 10; i += 1) await client.ping(node.contact);
    expect(connections).toBe(1);
  });

  it('asks on the connection by which it learnt who is there, and ends those that it never used', async () => {
    const [used, unused] = [await startNode(), await startNode()];
    const { node: client, transport } = await startClient();
    let connections = 0;
    used.transport.server!.on('secureConnection', () => (connections += 1));
    await client.join([used.transport.addresses[0]!]);
    await client.ping(used.node.contact);
    expect(connections).toBe(1);
    const connected = once(unused.transport.server!, 'secureConnection');
    expect(await transport.identify(unused.transport.addresses[0]!)).toBe(unused.identity.nodeId);
    const [socket] = (await connected) as [tls.TLSSocket];
    const closed = once(socket, 'close');
    await client.stop();
    await closed;
  });

  it('closes a connection that it asks nothing on before the other side would', async () => {
    const { node, transport } = await startNode({ idleMs: 2500 });
    const { node: client } = await startClient({ idleMs: 2500 });
    const connected = once(transport.server!, 'secureConnection');
    await client.ping(node.contact);
    const [socket] = (await connected) as [tls.TLSSocket];
    let ended = false;
    socket.once('end', () => (ended = true));
    await once(socket, 'close');
    expect(ended).toBe(true);
    await expect(client.ping(node.contact)).resolves.toBeGreaterThanOrEqual(0);
  });

  it('tries the other addresses of a node, and none of them for another node', async () => {
    const { node, identity: self, transport } = await startNode();
    const { node: other } = await startNode();
    const { node: client } = await startClient();
    const addresses = [other.contact.addresses[0]!, transport.addresses[0]!];
    const contact = signContact(self, { addresses, sequence: 9 });
    await expect(client.ping(contact)).resolves.toBeGreaterThanOrEqual(0);
    expect(client.contacts().map(({ nodeId }) => nodeId)).toEqual([node.identity.nodeId]);
  });

  it('is in nobody’s table', async () => {
    const { node } = await startNode();
    const { node: client } = await startClient();
    await client.join(node.contact.addresses);
    expect(client.contact.addresses).toEqual([]);
    expect(client.contacts()).toHaveLength(1);
    expect(node.contacts()).toEqual([]);
  });

  it('resolves an address with the right node ID, and not with a wrong one', async () => {
    const { node } = await startNode();
    const { node: client } = await startClient();
    const address = node.contact.addresses[0]!;
    await expect(client.resolve(`${address}/${node.identity.nodeId}`)).resolves.toEqual(
      node.contact,
    );
    await expect(client.resolve(`${address}/${identity.nodeId}`)).rejects.toMatchObject({
      code: 'KAD_IDENTITY_MISMATCH',
    });
  });

  it('announces what it is told to', async () => {
    const announce = ['https://node.example:443', 'https://[2001:db8::1]:4000'];
    const { node } = await startNode({ announce });
    expect(node.contact.addresses).toEqual(announce);
  });

  it('stops while a question is in work, and the asker is told', async () => {
    const { node } = await startNode();
    const { node: client } = await startClient();
    const asked = new Promise<void>((resolve) => {
      node.registerMethod('NEVER', () => {
        resolve();
        return new Promise(() => undefined);
      });
    });
    const call = client.call(node.contact, 'NEVER', {}, { timeoutMs: 50_000 });
    const refused = expect(call).rejects.toMatchObject({ code: 'KAD_UNREACHABLE' });
    await asked;
    await node.stop();
    await refused;
  });

  it('frees its port when it stops, with connections open', async () => {
    const { node, port } = await startNode();
    const { node: client } = await startClient();
    await client.ping(node.contact);
    await node.stop();
    const server = net.createServer();
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    server.close();
    await expect(client.ping(node.contact)).rejects.toMatchObject({ code: 'KAD_UNREACHABLE' });
  });
});
