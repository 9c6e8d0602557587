import { X509Certificate } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type * as NodeDataChannel from 'node-datachannel';
import {
  type Clock,
  DataChannelSocket,
  type Identity,
  KadError,
  type Logger,
  type MadeSocket,
  type SocketListener,
  WEBSOCKET_PATH,
  clientOffer,
  clientPasswordOf,
  createTlsCredentials,
  formatAddress,
  messageOf,
} from '@granary/kad';

type Library = typeof NodeDataChannel;

/** Where a {@link WebRtcListener} listens, and what it says of itself. */
export interface WebRtcSettings {
  readonly identity: Identity;
  /** An IP address to listen on. */
  readonly host: string;
  /** A UDP port; 0 takes any that is free. */
  readonly port: number;
  /** Where its certificate is kept: addresses name it, so that it must stay the same. */
  readonly directory: string;
  /** IP addresses and ports to announce instead of where it listens. */
  readonly announce?: readonly { readonly host: string; readonly port: number }[];
  /** The most connections at one time; 1024 when not given. */
  readonly maxConnections?: number;
  /** The most from one IP address; 256 when not given. */
  readonly maxPerAddress?: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What comes at a label: the socket, and where from. */
export type ChannelTaker = (socket: DataChannelSocket, remoteAddress: string) => void;

/** Time for a connection to come about, and to be used then. In milliseconds. */
const CONNECT_MS = 15_000;
/** Connections that have not come about. Anybody can begin one with a packet from a made-up address. */
const MAX_BEGUN = 64;
/** As the DHT's frames and transfers have it. */
const MAX_MESSAGE = 512 * 1024;

const CERTIFICATE = 'webrtc-certificate.pem';
const KEY = 'webrtc-key.pem';

interface Entry {
  readonly connection: NodeDataChannel.PeerConnection;
  readonly host: string;
  readonly sockets: Set<DataChannelSocket>;
  begun: boolean;
  timer: unknown;
}

/**
 * Takes data channels of WebRTC from browsers, on one UDP port and without signalling: see webrtc-sdp in the
 * kad package. Browsers know the server by the hash of its certificate, which is in its address; who they
 * are they prove on the channel (docs/decisions/0009).
 */
export class WebRtcListener implements SocketListener {
  private readonly takers = new Map<string, ChannelTaker>();
  private readonly entries = new Map<string, Entry>();
  private readonly perAddress = new Map<string, number>();
  private mux: NodeDataChannel.IceUdpMuxListener | undefined;
  private announced: readonly string[] = [];
  private begun = 0;

  constructor(private readonly settings: WebRtcSettings) {}

  get addresses(): readonly string[] {
    return this.announced;
  }

  /** Connections at this time, also those that have not come about. */
  get connections(): number {
    return this.entries.size;
  }

  /** Take what comes at a label. */
  route(label: string, take: ChannelTaker): void {
    this.takers.set(label, take);
  }

  async listen(accept: (made: MadeSocket) => void): Promise<void> {
    this.route(WEBSOCKET_PATH, (socket, remoteAddress) => accept({ socket, remoteAddress }));
    const { host, announce } = this.settings;
    const library = await load();
    const port = this.settings.port === 0 ? await freePort(host) : this.settings.port;
    const files = await this.certificate();
    const certificate = new X509Certificate(
      await readFile(files.certificatePemFile, 'utf8'),
    ).fingerprint256
      .replaceAll(':', '')
      .toLowerCase();
    try {
      this.mux = new library.IceUdpMuxListener(port, host);
    } catch (error) {
      throw new KadError('KAD_LISTEN', `cannot listen on ${host}:${port}/udp: ${messageOf(error)}`);
    }
    this.mux.onUnhandledStunRequest(({ ufrag, localUfrag, host: from, port: fromPort }) => {
      try {
        this.begin(library, port, files, {
          clientUfrag: ufrag,
          serverUfrag: localUfrag,
          host: from,
          port: fromPort,
        });
      } catch (error) {
        this.settings.logger.debug({ from, error: messageOf(error) }, 'no WebRTC connection');
      }
    });
    const unspecified = host === '0.0.0.0' || host === '::';
    const places = announce ?? (unspecified ? [] : [{ host, port }]);
    this.announced = places.map((place) =>
      formatAddress({ scheme: 'webrtc', ...place, certificate }),
    );
  }

  async close(): Promise<void> {
    this.takers.clear();
    this.mux?.stop();
    this.mux = undefined;
    for (const key of [...this.entries.keys()]) this.end(key, 'the node stops');
  }

  private begin(
    library: Library,
    port: number,
    files: { certificatePemFile: string; keyPemFile: string },
    client: { clientUfrag: string; serverUfrag: string; host: string; port: number },
  ): void {
    const { settings, entries, perAddress } = this;
    const { maxConnections = 1024, maxPerAddress = 256, host: bindAddress, clock } = settings;
    const key = `${client.serverUfrag}:${client.clientUfrag} ${client.host} ${client.port}`;
    const pwd = clientPasswordOf(client.serverUfrag);
    if (pwd === undefined || !/^[A-Za-z0-9+/]{4,256}$/.test(client.clientUfrag)) return;
    const count = perAddress.get(client.host) ?? 0;
    if (
      this.mux === undefined ||
      entries.has(key) ||
      entries.size >= maxConnections ||
      count >= maxPerAddress ||
      this.begun >= MAX_BEGUN
    ) {
      return;
    }
    const connection = new library.PeerConnection('farmer', {
      iceServers: [],
      bindAddress,
      enableIceUdpMux: true,
      portRangeBegin: port,
      portRangeEnd: port,
      disableAutoNegotiation: true,
      // Browsers prove on the channel who they are; their certificates are of the moment.
      disableFingerprintVerification: true,
      maxMessageSize: 256 * 1024,
      ...files,
    });
    const entry: Entry = {
      connection,
      host: client.host,
      sockets: new Set(),
      begun: true,
      timer: clock.setTimeout(() => this.end(key, 'it did not come about'), CONNECT_MS),
    };
    entries.set(key, entry);
    perAddress.set(client.host, count + 1);
    this.begun += 1;
    connection.onStateChange((state) => {
      if (state === 'failed' || state === 'closed' || state === 'disconnected') {
        this.end(key, `the connection is ${state}`);
      }
    });
    connection.onDataChannel((channel) => this.take(key, entry, channel));
    const { clientUfrag: ufrag, host, port: from } = client;
    connection.setRemoteDescription(clientOffer({ host, port: from, ufrag, pwd }), 'offer');
    connection.setLocalDescription('answer', {
      iceUfrag: client.serverUfrag,
      icePwd: client.serverUfrag,
    });
  }

  private take(key: string, entry: Entry, channel: NodeDataChannel.DataChannel): void {
    const taker = this.takers.get(channel.getLabel());
    // One channel a connection: so none holds up another, and none is left behind.
    if (taker === undefined || entry.sockets.size > 0 || !this.entries.has(key)) {
      return this.end(key, 'nothing is at this label');
    }
    if (entry.begun) {
      entry.begun = false;
      this.begun -= 1;
      this.settings.clock.clearTimeout(entry.timer);
    }
    const socket = new DataChannelSocket(
      {
        send: (bytes) => {
          if (!channel.sendMessageBinary(bytes) && !channel.isOpen()) {
            throw new Error('the data channel is closed');
          }
        },
        get bufferedAmount() {
          return channel.isOpen() ? channel.bufferedAmount() : 0;
        },
        close: () => {
          // A turn for the last message to be handed on.
          this.settings.clock.setTimeout(() => this.end(key, 'closed'), 50);
        },
      },
      MAX_MESSAGE,
    );
    socket.binaryType = 'nodebuffer';
    entry.sockets.add(socket);
    channel.setBufferedAmountLowThreshold(256 * 1024);
    channel.onBufferedAmountLow(() => socket.drained());
    channel.onClosed(() => {
      socket.lost('the data channel was closed');
      this.end(key, 'closed');
    });
    channel.onError((error) => socket.lost(error));
    channel.onMessage((message) => {
      if (typeof message === 'string') socket.close(1003, 'text is sent as bytes here');
      else socket.received(new Uint8Array(message as Buffer));
    });
    const begin = () => {
      socket.opened();
      taker(socket, entry.host);
    };
    if (channel.isOpen()) begin();
    else channel.onOpen(begin);
  }

  private end(key: string, why: string): void {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    this.entries.delete(key);
    this.settings.clock.clearTimeout(entry.timer);
    if (entry.begun) this.begun -= 1;
    const left = (this.perAddress.get(entry.host) ?? 1) - 1;
    if (left > 0) this.perAddress.set(entry.host, left);
    else this.perAddress.delete(entry.host);
    for (const socket of entry.sockets) socket.lost(why);
    entry.connection.close();
  }

  /** The files of the certificate; they are made when they are not there. */
  private async certificate(): Promise<{ certificatePemFile: string; keyPemFile: string }> {
    const { directory, identity, clock } = this.settings;
    const certificatePemFile = join(directory, CERTIFICATE);
    const keyPemFile = join(directory, KEY);
    const files = { certificatePemFile, keyPemFile };
    try {
      await Promise.all([readFile(certificatePemFile), readFile(keyPemFile)]);
      return files;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    const { key, cert } = await createTlsCredentials(identity, clock);
    await mkdir(directory, { recursive: true });
    // The certificate last: where it is, the key is, too.
    for (const [file, text, mode] of [
      [keyPemFile, key, 0o600],
      [certificatePemFile, cert, 0o644],
    ] as const) {
      await writeFile(`${file}.new`, text, { mode, flush: true });
      await chmod(`${file}.new`, mode);
      await rename(`${file}.new`, file);
    }
    return files;
  }
}

/** The library is native: there may be none for a platform. @throws KadError KAD_LISTEN. */
async function load(): Promise<Library> {
  try {
    return await import('node-datachannel');
  } catch (error) {
    throw new KadError(
      'KAD_LISTEN',
      `there is no WebRTC on this platform (${messageOf(error)}): leave it out with --webrtc never`,
    );
  }
}

async function freePort(host: string): Promise<number> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ port: 0, address: host }, () => resolve());
  });
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}
