import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
// The renter's own tests need farmers; the layers let no other code of this package name them.
// eslint-disable-next-line no-restricted-imports
import { type BrowserListener, Farmer } from '@granary/farmer';
import {
  type Contact,
  Identity,
  ShortLivedBuffers,
  createTlsCredentials,
  proveAsAcceptor,
  proveAsDialer,
  silentLogger,
  systemClock,
  systemRandom,
} from '@granary/kad';
import {
  ShardTree,
  TRANSFER_PATH,
  TRANSFER_PROVED_SUBPROTOCOL,
  TRANSFER_SUBPROTOCOL,
  contractHash,
  proposeContract,
  signToken,
  toHex,
} from '@granary/protocol';
import { type ConnectionContext, FarmerConnection } from './farmer-connection.js';
import { inlineEngine } from './segment-engine.js';

const renter = Identity.generate();
const identity = Identity.generate();
const context: ConnectionContext = {
  identity: renter,
  clock: systemClock,
  random: systemRandom,
  connectTimeoutMs: 20_000,
  buffers: new ShortLivedBuffers(),
  stallTimeoutMs: 20_000,
};
let directory: string;
let farmer: Farmer;
const cleanups: (() => unknown)[] = [];

const start = async (browsers: BrowserListener = { host: '127.0.0.1', port: 0 }) => {
  farmer = await Farmer.open({
    directory,
    identity,
    host: '127.0.0.1',
    port: 0,
    browsers,
    bootstrap: [],
    quotaBytes: 40_000_000,
    logger: silentLogger,
  });
  return farmer;
};
/** The farmer as a browser sees it: with no address but the one for browsers. */
const asSeen = (change: Partial<Contact> = {}): Contact => ({
  ...farmer.contact,
  addresses: farmer.browserAddresses,
  ...change,
});

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-browsers-'));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await farmer.stop();
  await rm(directory, { recursive: true, force: true });
});

function offer(shard: Uint8Array) {
  const now = Date.now();
  const terms = farmer.terms();
  return proposeContract(renter, {
    version: 1,
    renter: renter.nodeId,
    renterKey: toHex(renter.publicKey),
    farmer: identity.nodeId,
    farmerKey: toHex(identity.publicKey),
    shardHash: toHex(ShardTree.of(shard).root()),
    shardSize: shard.length,
    begin: now,
    end: now + 3_600_000,
    currency: terms.currency,
    storagePrice: '0',
    egressPrice: '0',
    auditRoot: null,
    auditCount: 0,
    channel: null,
  });
}

/** A WebSocket to the listener, and the messages that come on it. */
function openSocket(subprotocol = TRANSFER_PROVED_SUBPROTOCOL, options: ClientOptions = {}) {
  const socket = new WebSocket(
    `${farmer.browserAddresses[0]}${TRANSFER_PATH}`,
    subprotocol,
    options,
  );
  cleanups.push(() => socket.terminate());
  const messages: Buffer[] = [];
  let wake = () => undefined as void;
  socket.on('message', (data: Buffer) => {
    messages.push(data);
    wake();
  });
  socket.on('error', () => undefined);
  return {
    socket,
    closed: new Promise((resolve) => socket.once('close', resolve)),
    async next(): Promise<Buffer> {
      while (messages.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return messages.shift()!;
    },
  };
}

describe('a farmer’s listener for browsers', () => {
  it('is announced, and takes and gives shards like the other way', async () => {
    await start();
    expect(farmer.contact.addresses).toEqual([farmer.address, ...farmer.browserAddresses]);
    expect(farmer.browserAddresses).toEqual([expect.stringMatching(/^ws:\/\/127\.0\.0\.1:\d+$/)]);
    const connection = await FarmerConnection.dial(asSeen(), context);
    cleanups.push(() => connection.close());
    const shard = new Uint8Array(randomBytes(900_001));
    const { signal } = new AbortController();
    const upload = { bytes: shard, audits: new Uint8Array(0) };
    const { contract } = await connection.upload(offer(shard), upload, () => undefined, signal);
    const hash = contractHash(contract.terms);
    const place = { contract: hash, hash: contract.terms.shardHash, size: shard.length };
    const range = { offset: 65_536, length: shard.length - 65_536, level: 4 };
    const read = await connection.download(place, range, () => undefined, signal, inlineEngine);
    expect(Buffer.from(read).equals(shard.subarray(65_536))).toBe(true);
    await connection.delete(hash, signal);
    expect(farmer.stats()).toMatchObject({ uploads: 1, downloads: 1, deletes: 1, shards: 0 });
  });

  it('is not taken for another node', async () => {
    await start();
    const other = Identity.generate();
    const contact = asSeen({ nodeId: other.nodeId, publicKey: toHex(other.publicKey) });
    await expect(FarmerConnection.dial(contact, context)).rejects.toMatchObject({
      code: 'KAD_IDENTITY_MISMATCH',
    });
  });

  it('is not impersonated by one who has only seen its key', async () => {
    await start();
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    cleanups.push(() => server.close());
    await once(server, 'listening');
    const liar = Identity.generate();
    server.on('connection', (socket) => {
      const seen = proveAsAcceptor(identity, systemRandom, 'transfer').challenge;
      socket.send(seen);
      // It can sign, but not for the key that it showed.
      socket.once('message', () => socket.send(liar.sign(new Uint8Array(32).fill(1))));
    });
    const addresses = [`ws://127.0.0.1:${(server.address() as AddressInfo).port}`];
    await expect(FarmerConnection.dial(asSeen({ addresses }), context)).rejects.toMatchObject({
      code: 'KAD_IDENTITY_MISMATCH',
    });
  });

  it('gives up on who says nothing, or is not there', async () => {
    await start();
    const server = createServer().listen(0, '127.0.0.1');
    cleanups.push(() => server.close());
    await once(server, 'listening');
    const addresses = [`ws://127.0.0.1:${(server.address() as AddressInfo).port}`];
    const hasty = { ...context, connectTimeoutMs: 100 };
    await expect(FarmerConnection.dial(asSeen({ addresses }), hasty)).rejects.toMatchObject({
      code: expect.stringMatching(/^(KAD_TIMEOUT|RENTER_TRANSFER)$/) as string,
    });
    const stop = new AbortController();
    const dialling = FarmerConnection.dial(asSeen({ addresses }), context, stop.signal);
    stop.abort();
    await expect(dialling).rejects.toMatchObject({
      code: expect.stringMatching(/ABORT/) as string,
    });
    await expect(
      FarmerConnection.dial(asSeen({ addresses: ['ws://127.0.0.1:1'] }), context),
    ).rejects.toMatchObject({ code: 'RENTER_TRANSFER' });
  });

  it('serves nobody before the proof, and only who has proved it', async () => {
    await start();
    for (const first of ['{"type":"cancel"}', randomBytes(130), Buffer.alloc(0)]) {
      const { socket, next, closed } = openSocket();
      await next();
      socket.send(first);
      await closed;
    }
    // A proof for the DHT's WebSockets is none for transfers.
    const wrong = openSocket();
    const purpose = proveAsDialer(renter, systemRandom, identity.nodeId, 'websocket');
    wrong.socket.send(purpose.answer(await wrong.next()));
    await wrong.closed;
    // An answer to another challenge is none to this one.
    const [a, b] = [openSocket(), openSocket()];
    const proof = proveAsDialer(renter, systemRandom, identity.nodeId, 'transfer');
    const answer = proof.answer(await a.next());
    await b.next();
    b.socket.send(answer);
    await b.closed;
    a.socket.send(answer);
    proof.check(await a.next());
    // And then it is the renter's alone.
    const other = Identity.generate();
    const token = signToken(other, {
      contract: '00'.repeat(32),
      renter: other.nodeId,
      renterKey: toHex(other.publicKey),
      farmer: identity.nodeId,
      direction: 'delete',
      offset: 0,
      length: 0,
      expires: Date.now() + 60_000,
      nonce: toHex(randomBytes(16)),
    });
    a.socket.send(JSON.stringify({ type: 'delete', token }));
    expect(JSON.parse((await a.next()).toString())).toMatchObject({ code: 'FARMER_FORBIDDEN' });
    expect(farmer.stats().deletes).toBe(0);
  });

  it('does not take for proved what comes with the other subprotocol', async () => {
    await start();
    const { socket } = openSocket(TRANSFER_SUBPROTOCOL);
    const [, response] = (await once(socket, 'unexpected-response')) as [
      unknown,
      { statusCode: number },
    ];
    expect(response.statusCode).toBe(400);
  });

  it('shows the certificate that it was given, and the next one when it was renewed', async () => {
    const [first, second] = [
      await createTlsCredentials(Identity.generate()),
      await createTlsCredentials(Identity.generate()),
    ];
    await start({ host: '127.0.0.1', port: 0, tls: first });
    expect(farmer.browserAddresses[0]).toMatch(/^wss:/);
    const shown = async () => {
      const { socket, next } = openSocket(undefined, { rejectUnauthorized: false });
      let tls: TLSSocket | undefined;
      socket.once('upgrade', (response) => (tls = response.socket as TLSSocket));
      await next();
      return tls!.getPeerX509Certificate()!.toString();
    };
    expect((await shown()).trim()).toBe(first.cert.trim());
    farmer.renewBrowserCertificate(second);
    expect((await shown()).trim()).toBe(second.cert.trim());
  });

  it('announces what it is told to', async () => {
    const announce = ['wss://farm.example:443'];
    await start({ host: '127.0.0.1', port: 0, announce });
    expect(farmer.contact.addresses).toEqual([farmer.address, ...announce]);
  });
});
