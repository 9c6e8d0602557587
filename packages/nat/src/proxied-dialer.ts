import { BlockList, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  type DialLimits,
  type Dialer,
  KadError,
  type Random,
  directDialer,
  messageOf,
  sha256,
  systemRandom,
  toHex,
  utf8,
} from '@granary/kad';
import { type ProxySettings, formatProxy } from './proxy-settings.js';
import { MAX_NEGOTIATION, proxyError, readAnswer } from './socks-replies.js';

/** A {@link Dialer} that leads everything through a proxy. */
export interface ProxiedDialer extends Dialer {
  readonly direct: false;
  /** The proxy, without user and password: for people and logs. */
  readonly proxy: string;
}

/** What Tor and I2P may need more than a direct connection: a circuit takes seconds to make. */
const SLACK_MS = 20_000;
const USERNAME = 'granary';

const ownMachine = new BlockList();
ownMachine.addSubnet('127.0.0.0', 8, 'ipv4');
ownMachine.addAddress('0.0.0.0', 'ipv4');
ownMachine.addAddress('::1', 'ipv6');
ownMachine.addAddress('::', 'ipv6');

/** Whether an address is one of the machine that it is used on, and of no use to anybody else. */
export function isOwnMachine(host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '');
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  const version = isIP(name);
  return version !== 0 && ownMachine.check(name, version === 4 ? 'ipv4' : 'ipv6');
}

/**
 * A dialer through a SOCKS5 proxy. Names go to the proxy as they are; the only address that is ever
 * dialled from here is the proxy's. When it can't be used, nothing is dialled (KAD_PROXY).
 *
 * Loopback addresses are not dialled: they are not on the other side of a proxy, and a stranger's
 * contact must not make the proxy's own machine speak to itself.
 *
 * Unless the proxy asks who we are, each destination gets a user and password of its own, by which
 * Tor gives it circuits of its own (IsolateSOCKSAuth, on by default): who watches one exit sees one of
 * the destinations. Other runs of a program, and other programs, have others.
 */
export function proxiedDialer(
  settings: ProxySettings,
  { random = systemRandom }: { readonly random?: Random } = {},
): ProxiedDialer {
  const proxy = formatProxy(settings);
  const secret = random(32);
  const credentialsFor = (where: string) =>
    settings.credentials ?? {
      username: USERNAME,
      password: toHex(sha256(new Uint8Array([...secret, ...utf8(where)]))),
    };
  return {
    direct: false,
    slackMs: SLACK_MS,
    proxy,
    dials: (host) => !isOwnMachine(host),
    dial: async (host, port, limits) => {
      const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
      if (isOwnMachine(host)) {
        throw new KadError(
          'KAD_BAD_ADDRESS',
          `${where} is this machine, which is not on the other side of a proxy`,
        );
      }
      const begun = performance.now();
      const stream = await connectToProxy(settings, proxy, limits);
      await negotiate(stream, {
        proxy,
        where,
        destination: { host, port },
        credentials: credentialsFor(where),
        ...limits,
        timeoutMs: Math.max(0, limits.timeoutMs - (performance.now() - begun)),
      });
      return stream;
    },
  };
}

async function connectToProxy(
  { host, port }: ProxySettings,
  proxy: string,
  limits: DialLimits,
): Promise<Duplex> {
  try {
    return await directDialer.dial(host, port, limits);
  } catch (error) {
    if (error instanceof KadError && error.code === 'KAD_ABORTED') throw error;
    throw proxyError(proxy, messageOf(error), error);
  }
}

interface Negotiation extends DialLimits {
  readonly proxy: string;
  readonly where: string;
  readonly destination: { readonly host: string; readonly port: number };
  readonly credentials: { readonly username: string; readonly password: string };
}

/**
 * Have the proxy open the connection. The library speaks to it; what it has said is kept besides, to
 * bound it, and to tell what was wrong.
 */
async function negotiate(stream: Duplex, options: Negotiation): Promise<void> {
  const { proxy, where, destination, credentials, signal, timeoutMs } = options;
  let said = Buffer.alloc(0);
  let failure: KadError | undefined;
  const stop = (error: KadError) => {
    failure ??= error;
    stream.destroy();
  };
  const onAbort = () => stop(new KadError('KAD_ABORTED', 'the call was aborted'));
  const onData = (data: Buffer) => {
    if (said.length + data.length > MAX_NEGOTIATION) {
      stop(proxyError(proxy, 'it says more than SOCKS5 has to say'));
    } else {
      said = Buffer.concat([said, data]);
    }
  };
  // Whatever comes when the negotiation is over must not end the process.
  stream.on('error', () => undefined);
  stream.on('data', onData);
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => {
    const late =
      said.length === 0
        ? proxyError(proxy, `it said nothing in ${Math.round(timeoutMs)} ms`)
        : new KadError('KAD_TIMEOUT', `${where} did not answer through the proxy in time`);
    stop(late);
  }, timeoutMs);
  try {
    if (signal?.aborted === true) onAbort();
    // Loaded by who has a proxy, and by nobody else.
    const { SocksClient } = await import('socks');
    await SocksClient.createConnection({
      proxy: {
        host: '127.0.0.1', // not dialled: the connection is there
        port: 1,
        type: 5,
        userId: credentials.username,
        password: credentials.password,
      },
      command: 'connect',
      destination,
      existing_socket: stream,
      // Ours is the one that counts.
      timeout: timeoutMs + 60_000,
    });
  } catch {
    // What it throws has the password in it, and says less than what the proxy has said.
    const answer = readAnswer(said, proxy, where);
    failure ??=
      answer.kind === 'failed'
        ? answer.error
        : proxyError(
            proxy,
            said.length === 0
              ? 'it closed the connection at once'
              : 'it broke off before the connection was open',
          );
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    stream.removeListener('data', onData);
  }
  if (failure === undefined) {
    // The library takes some answers for good that are not.
    const answer = readAnswer(said, proxy, where);
    if (answer.kind === 'failed') failure = answer.error;
    // Nobody at the other end speaks first: bytes past the answer are the proxy's own.
    else if (answer.kind !== 'open' || answer.length !== said.length) {
      failure = proxyError(proxy, 'it says more than SOCKS5 has to say');
    }
  }
  if (failure !== undefined) {
    stream.destroy();
    throw failure;
  }
}
