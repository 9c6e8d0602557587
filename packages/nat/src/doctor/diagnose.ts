import { randomInt } from 'node:crypto';
import { type AddressInfo, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import {
  type Contact,
  HttpsTransport,
  Identity,
  KademliaNode,
  type Logger,
  type Plugin,
  createTlsCredentials,
  messageOf,
  standardPlugins,
  systemRandom,
} from '@granary/kad';
import { NatError } from '../errors.js';
import { findDefaultGateway } from '../mapping/default-gateway.js';
import { MAPPING_PROTOCOLS, type MappingProtocol } from '../mapping/mapping.js';
import { PortMapper } from '../mapping/port-mapper.js';
import { OBSERVED_ADDRESS } from '../reachability/dial-back.js';
import { chooseHelpers } from '../reachability/helpers.js';
import { canonicalIp, isOtherMachine } from '../reachability/own-address.js';
import { Reachability } from '../reachability/reachability.js';
import type { Diagnosis, ProtocolTrial } from './diagnosis.js';
import { type PortBehaviour, natKindOf, portBehaviourOf } from './nat-kind.js';
import { pinnedDialer } from './pinned-dialer.js';

/** What {@link diagnose} works with. */
export interface DiagnoseOptions {
  /** Where mappings are written down, so that none is left when it is broken off. */
  readonly directory: string;
  /** Where to listen for the check. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Nodes of the network to ask. Without any, only the router is asked. */
  readonly bootstrap: readonly string[];
  /** Work that the network asks of identities, in bits. */
  readonly difficulty: number;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Told of each step that begins. */
  readonly onStep?: (step: string) => void;
}

/** Mappings that are only tried are asked for so short, in seconds. */
const TRIAL_SECONDS = 120;
const CALL_MS = 8_000;
/** Nodes that are asked for the port that we come from. */
const PORT_HELPERS = 3;

/**
 * Find out how this machine is connected: its addresses, its router and what that maps, what other
 * nodes see of us, and whether they can reach us. Whatever is mapped is removed again.
 *
 * @throws KadError KAD_PORT_IN_USE, KAD_LISTEN or KAD_ABORTED; what is merely not to be had is in
 * the diagnosis.
 */
export async function diagnose(options: DiagnoseOptions): Promise<Diagnosis> {
  const { onStep = () => undefined, signal } = options;
  const localAddresses = addressesOfThisMachine();
  const gateway = await findDefaultGateway();
  onStep('Asking the router for a port by PCP, NAT-PMP and UPnP');
  const trials = gateway === undefined ? [] : await tryAll(options);
  signal.throwIfAborted();
  const working = trials.filter(({ mapping }) => mapping !== undefined);
  const checked = await checkFromOutside(
    options,
    working.map(({ protocol }) => protocol),
  );
  const outside = [...trials, checked]
    .map(({ mapping }) => mapping?.externalAddress)
    .filter((address) => address !== undefined);
  return {
    localAddresses,
    gateway,
    trials,
    ...checked,
    nat: natKindOf({ local: localAddresses, outside, observed: checked.observed }),
  };
}

function addressesOfThisMachine(): string[] {
  return Object.values(networkInterfaces()).flatMap((list = []) =>
    list.flatMap(({ address, internal }) => {
      const ip = canonicalIp(address);
      return !internal && ip !== undefined && isOtherMachine(ip) ? [ip] : [];
    }),
  );
}

/** Ask by each protocol, for a port of its own, and give it back. */
function tryAll({ directory, logger, signal }: DiagnoseOptions): Promise<ProtocolTrial[]> {
  return Promise.all(
    MAPPING_PROTOCOLS.map(async (protocol): Promise<ProtocolTrial> => {
      const mapper = new PortMapper({
        file: join(directory, `doctor-${protocol}.json`),
        internalPort: randomInt(20_000, 60_000),
        lifetimeSeconds: TRIAL_SECONDS,
        protocols: [protocol],
        logger,
      });
      const stop = () => void mapper.stop();
      signal.addEventListener('abort', stop, { once: true });
      try {
        await mapper.start();
        const { mapping, attempts } = mapper;
        const error = attempts[0]?.error ?? { code: 'NAT_NO_GATEWAY', message: 'no router' };
        return mapping === undefined ? { protocol, error } : { protocol, mapping };
      } catch (error) {
        if (!(error instanceof NatError)) throw error;
        return { protocol, error: { code: error.code, message: error.message } };
      } finally {
        signal.removeEventListener('abort', stop);
        await mapper.stop();
      }
    }),
  );
}

/** Join the network as a node that listens, and have other nodes dial back. */
async function checkFromOutside(
  options: DiagnoseOptions,
  protocols: readonly MappingProtocol[],
): Promise<
  Pick<
    Diagnosis,
    'port' | 'nodes' | 'networkError' | 'observed' | 'ports' | 'mapping' | 'checks' | 'reachable'
  >
> {
  const { directory, host, port, bootstrap, signal, onStep = () => undefined } = options;
  const listening = { port: () => (transport.server?.address() as AddressInfo | null)?.port };
  const reachability = new Reachability({
    ...listening,
    bootstrap,
    announces: false,
    ...(protocols.length > 0 && {
      mapping: {
        file: join(directory, 'doctor-check.json'),
        protocols: protocols.slice(0, 1),
        lifetimeSeconds: TRIAL_SECONDS * 5,
      },
    }),
  });
  const identity = Identity.generate();
  const transport = new HttpsTransport({
    credentials: await createTlsCredentials(identity),
    listen: { host, port },
    announce: [],
    logger: options.logger,
  });
  const node = nodeOf(options, identity, transport, [reachability]);
  await node.start();
  const own = listening.port() ?? port;
  let networkError: string | undefined;
  let ports: PortBehaviour = 'unknown';
  try {
    if (bootstrap.length > 0) {
      onStep('Looking for other nodes');
      networkError = await node.join(bootstrap, { signal }).then(
        () => undefined,
        (error: unknown) => messageOf(error),
      );
      signal.throwIfAborted();
      if (networkError === undefined) {
        onStep('Having other nodes dial back');
        await stopped(reachability.check(), signal);
        const { observed } = reachability.status;
        ports = await portBehaviour(options, node.contacts(), observed);
      }
    }
    const { observed, mapping, checks } = reachability.status;
    const verdicts = checks.map(({ verdict }) => verdict);
    const decided = verdicts.some((verdict) => verdict !== 'undecided');
    return {
      port: own,
      nodes: node.contacts().length,
      networkError,
      observed,
      ports,
      mapping,
      checks,
      reachable: decided ? verdicts.includes('reachable') : undefined,
    };
  } finally {
    await node.stop();
  }
}

function nodeOf(
  { difficulty, logger }: DiagnoseOptions,
  identity: Identity,
  transport: HttpsTransport,
  plugins: readonly Plugin[],
): KademliaNode {
  return new KademliaNode({
    identity,
    transport,
    plugins: [...standardPlugins({ difficulty }), ...plugins],
    logger,
  });
}

/**
 * What nodes see of the port, when we come from one port to each of them.
 *
 * @param observed - where we come from; who sees us come from elsewhere is reached in another way
 */
async function portBehaviour(
  options: DiagnoseOptions,
  contacts: readonly Contact[],
  observed: readonly string[],
): Promise<PortBehaviour> {
  const localPort = await freePort();
  const identity = Identity.generate();
  const transport = new HttpsTransport({
    credentials: await createTlsCredentials(identity),
    dialer: pinnedDialer(localPort),
    logger: options.logger,
  });
  const node = nodeOf(options, identity, transport, []);
  await node.start();
  try {
    const seen: number[] = [];
    for (const helper of chooseHelpers(contacts, 2 * PORT_HELPERS, systemRandom)) {
      options.signal.throwIfAborted();
      const answer = await node
        .call(helper, OBSERVED_ADDRESS, {}, { timeoutMs: CALL_MS, signal: options.signal })
        .catch(() => undefined);
      const { address, port } = (answer ?? {}) as { address?: unknown; port?: unknown };
      if (!observed.includes(address as string) || !Number.isInteger(port)) continue;
      seen.push(port as number);
      if (seen.length === PORT_HELPERS) break;
    }
    return portBehaviourOf(localPort, seen);
  } finally {
    await node.stop();
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** A promise, or the end of the signal, whichever comes first. */
function stopped(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.finally(() => signal.removeEventListener('abort', onAbort)).then(resolve, reject);
    return undefined;
  });
}
