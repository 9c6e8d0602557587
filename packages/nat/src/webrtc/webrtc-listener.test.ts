import { readFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as library from 'node-datachannel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type DataChannelSocket,
  Identity,
  type MadeSocket,
  parseAddress,
  silentLogger,
  systemClock,
} from '@granary/kad';
import { WebRtcListener, type WebRtcSettings } from './webrtc-listener.js';

let directory: string;
const cleanups: (() => unknown)[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-webrtc-'));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(directory, { recursive: true, force: true });
});

async function listen(change: Partial<WebRtcSettings> = {}) {
  const listener = new WebRtcListener({
    identity: Identity.generate(),
    host: '127.0.0.1',
    port: 0,
    directory,
    clock: systemClock,
    logger: silentLogger,
    ...change,
  });
  const accepted: MadeSocket[] = [];
  await listener.listen((made) => accepted.push(made));
  cleanups.push(() => listener.close());
  return { listener, accepted, address: parseAddress(listener.addresses[0] ?? 'https://none') };
}

/** A client such as a browser is, by the same library. */
async function dial(
  { host, port, certificate = '' }: ReturnType<typeof parseAddress>,
  label = '/test',
  serverUfrag?: string,
) {
  const connection = new library.PeerConnection('client', { iceServers: [], bindAddress: host });
  const states: string[] = [];
  const state = (wanted: RegExp) =>
    new Promise<string>((resolve) => {
      const look = (now: string) => wanted.test(now) && resolve(now);
      states.forEach(look);
      connection.onStateChange((now) => {
        states.push(now);
        look(now);
      });
    });
  cleanups.push(() => connection.close());
  const channel = connection.createDataChannel(label);
  const messages: Buffer[] = [];
  channel.onMessage((message) => messages.push(Buffer.from(message as Buffer)));
  const opened = new Promise<void>((resolve) => channel.onOpen(resolve));
  const closed = new Promise<void>((resolve) => channel.onClosed(resolve));
  const { sdp } = connection.localDescription()!;
  const pwd = /a=ice-pwd:(\S+)/.exec(sdp)![1]!;
  const ufrag = serverUfrag ?? `granary${pwd}`;
  const answer = [
    'v=0',
    `o=- 0 0 IN IP4 ${host}`,
    's=-',
    't=0 0',
    `m=application ${port} UDP/DTLS/SCTP webrtc-datachannel`,
    `c=IN IP4 ${host}`,
    'a=mid:0',
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${ufrag}`,
    `a=fingerprint:sha-256 ${certificate.toUpperCase().match(/../g)!.join(':')}`,
    'a=setup:passive',
    'a=sctp-port:5000',
    'a=max-message-size:262144',
    `a=candidate:1 1 UDP 1 ${host} ${port} typ host`,
    '',
  ].join('\r\n');
  connection.setRemoteDescription(answer, 'answer');
  return { connection, channel, messages, opened, closed, state };
}

const until = async (check: () => boolean) => {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 10));
};

describe('a listener for data channels', () => {
  it('carries messages both ways with who knows its certificate', async () => {
    const { listener, address } = await listen();
    const taken = new Promise<DataChannelSocket>((resolve) => {
      listener.route('/test', (socket, from) => {
        expect(from).toBe('127.0.0.1');
        resolve(socket);
      });
    });
    const client = await dial(address);
    await client.opened;
    const socket = await taken;
    const heard: string[] = [];
    socket.onmessage = ({ data }) => heard.push(String(data));
    client.channel.sendMessageBinary(Buffer.from('\u0003from the client'));
    await until(() => heard.length > 0);
    expect(heard).toEqual(['from the client']);
    socket.send('from the server');
    await until(() => client.messages.length > 0);
    expect(client.messages[0]!.toString()).toBe('\u0003from the server');
    expect(listener.connections).toBe(1);
    const ended = new Promise<void>((resolve) => (socket.onclose = () => resolve()));
    client.connection.close();
    await ended;
    await until(() => listener.connections === 0);
  });

  it('hands the DHT’s channels to who listens, and refuses what nobody takes', async () => {
    const { accepted, address, listener } = await listen();
    await (
      await dial(address, '/dht')
    ).opened;
    await until(() => accepted.length === 1);
    expect(accepted[0]!.remoteAddress).toBe('127.0.0.1');
    const refused = await dial(address, '/nothing');
    await refused.opened;
    await refused.closed;
    await until(() => listener.connections === 1);
  });

  it('is not connected with by who expects another certificate', async () => {
    const { address } = await listen();
    const client = await dial({ ...address, certificate: '00'.repeat(32) });
    expect(await client.state(/failed|closed|disconnected/)).toBeTruthy();
  });

  it('takes no notice of who does not know the way, and of too many', async () => {
    const { listener, address } = await listen({ maxPerAddress: 1 });
    listener.route('/test', () => undefined);
    await dial(address, '/test', 'someotherufragofsomebodyelse');
    const first = await dial(address);
    await first.opened;
    expect(listener.connections).toBe(1);
    const second = await dial(address);
    let connected = false;
    void second.state(/^connected$/).then(() => (connected = true));
    // The third finds room when the first is gone; the second would have had it before.
    first.connection.close();
    await until(() => listener.connections === 0);
    second.connection.close();
    await (
      await dial(address)
    ).opened;
    expect(connected).toBe(false);
  });

  it('keeps its certificate over restarts, and its key to itself', async () => {
    const first = await listen();
    await first.listener.close();
    const second = await listen();
    expect(second.address.certificate).toBe(first.address.certificate);
    const { mode } = await stat(join(directory, 'webrtc-key.pem'));
    expect(mode & 0o777).toBe(0o600);
    expect(await readFile(join(directory, 'webrtc-certificate.pem'), 'utf8')).toContain('BEGIN');
  });

  it('announces what it is told, and no wildcard', async () => {
    const announced = await listen({ announce: [{ host: '192.0.2.7', port: 4601 }] });
    expect(announced.listener.addresses).toEqual([
      expect.stringMatching(/^webrtc:\/\/192\.0\.2\.7:4601\/[0-9a-f]{64}$/),
    ]);
  });
});
