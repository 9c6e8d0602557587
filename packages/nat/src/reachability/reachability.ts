import { networkInterfaces } from 'node:os';
import { isIP } from 'node:net';
import { lookup } from 'node:dns/promises';
import {
  type Contact,
  KadError,
  type Plugin,
  type PluginHooks,
  type PluginHost,
  addressGroup,
  formatAddress,
  hiddenNetworkOf,
  messageOf,
  parseAddress,
  randomFraction,
} from '@granary/kad';
import { Announcer } from '../announcer.js';
import { isPublicIpv4 } from '../mapping/ipv4.js';
import type { Mapping } from '../mapping/mapping.js';
import { type MappingAttempt, PortMapper, type PortMapperOptions } from '../mapping/port-mapper.js';
import { NetworkWatch } from '../network-watch.js';
import { DIAL_BACK, OBSERVED_ADDRESS } from './dial-back.js';
import { chooseHelpers, networksOf } from './helpers.js';
import { canonicalIp, isOtherMachine } from './own-address.js';
import { type AddressCheck, type Answer, agreedAddresses, judge } from './verdict.js';

/** What a {@link Reachability} is made of. Times in milliseconds. */
export interface ReachabilityOptions {
  /** The port that we listen on, once we do. */
  readonly port: () => number | undefined;
  /** Addresses that the user wrote: announced whatever comes out, and checked so that he is told. */
  readonly announce?: readonly string[];
  /** Nodes that can be asked while the routing table is empty. */
  readonly bootstrap?: readonly string[];
  /** How the router is asked for a port. Without it, it is not asked. */
  readonly mapping?: Omit<PortMapperOptions, 'internalPort' | 'clock' | 'random' | 'logger'>;
  /** Whether the node announces what was confirmed. Default true; false only looks. */
  readonly announces?: boolean;
  /** Collects addresses from here and, it may be, from others. */
  readonly announcer?: Announcer;
  /** Answers that it takes for a verdict, where there are so many nodes. Default 3. */
  readonly enough?: number;
  /** Between two checks while all is well. Default 30 minutes. */
  readonly checkMs?: number;
  /** Between two looks at our own network. Default 10 seconds. */
  readonly watchMs?: number;
  /** Describes our own network, for tests. */
  readonly look?: () => Promise<string>;
}

/** What is known of how others can reach us. */
export interface ReachabilityStatus {
  /**
   * `public`: others can reach us at an address that we announce; `private`: they can't;
   * `unknown`: not enough others were there to say.
   */
  readonly state: 'unknown' | 'public' | 'private';
  /** What we announce. */
  readonly announced: readonly string[];
  /** The IP addresses that others see us come from. */
  readonly observed: readonly string[];
  readonly mapping: Mapping | undefined;
  /** How each way to ask the router went; empty when it was not asked. */
  readonly attempts: readonly MappingAttempt[];
  /** The last check of each address. */
  readonly checks: readonly AddressCheck[];
  /** Milliseconds since the epoch; undefined before the first check. */
  readonly checkedAt: number | undefined;
}

const HELPERS = 7;
const ENOUGH = 3;
const MAX_CANDIDATES = 4;
const CALL_MS = 8_000;
const CHECK_MS = 30 * 60_000;
/** After something happened that may change the outcome. */
const SOON_MS = 1_000;
/** While it is not known, or we can't be reached: doubled from the first to the last. */
const FIRST_RETRY_MS = 10_000;
const LAST_RETRY_MS = 30 * 60_000;
/** A new contact starts a check, when the last one is as long ago. */
const CONTACT_PAUSE_MS = 10_000;

/**
 * Finds out how others can reach this node, and announces that: asks the router for a port, asks
 * other nodes where we come from, has them dial us back, and announces an address only when a
 * majority got through. Looks again when the network changes and now and then.
 */
export class Reachability implements Plugin {
  readonly name = 'reachability';
  /** Puts together what is announced. */
  readonly announcer: Announcer;
  private readonly listeners = new Set<(status: ReachabilityStatus) => void>();
  private readonly stopping = new AbortController();
  private host: PluginHost | undefined;
  private mapper: PortMapper | undefined;
  private watch: NetworkWatch | undefined;
  private timer: unknown;
  private work: Promise<void> = Promise.resolve();
  /** The router's first answer. */
  private ready: Promise<void> = Promise.resolve();
  private pending = false;
  private running = false;
  private again = false;
  /** Whether a check is on its way because somebody new is there. */
  private awaited = false;
  private failures = 0;
  private observed: readonly string[] = [];
  private checks: readonly AddressCheck[] = [];
  private confirmed: readonly string[] = [];
  private doubted = new Set<string>();
  private checkedAt: number | undefined;
  private told = '';
  private toldAddresses = '[]';

  constructor(private readonly options: ReachabilityOptions) {
    this.announcer = options.announcer ?? new Announcer();
    this.announcer.set('configured', options.announce ?? []);
  }

  /** What is known now. */
  get status(): ReachabilityStatus {
    return {
      state: this.state,
      announced: this.announcer.addresses,
      observed: this.observed,
      mapping: this.mapper?.mapping,
      attempts: this.mapper?.attempts ?? [],
      checks: this.checks,
      checkedAt: this.checkedAt,
    };
  }

  /** Be told when the status becomes another. */
  onChange(listener: (status: ReachabilityStatus) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  install(host: PluginHost): PluginHooks {
    this.host = host;
    return {
      start: () => this.start(host),
      stop: () => this.stop(),
      contactAdded: () => this.met(),
    };
  }

  /** Check now. Fulfilled when the check is over, whatever came out. */
  check(): Promise<void> {
    const { host } = this;
    if (host === undefined || this.stopping.signal.aborted) return Promise.resolve();
    // One that waits to begin will see what is new, too.
    if (this.pending) return this.work;
    this.pending = true;
    host.clock.clearTimeout(this.timer);
    this.work = this.work.then(async () => {
      this.pending = false;
      if (this.stopping.signal.aborted) return;
      this.running = true;
      this.again = false;
      this.awaited = false;
      try {
        await this.run(host);
      } catch (error) {
        if (!this.stopping.signal.aborted) {
          host.logger.warn({ error: messageOf(error) }, 'a check of reachability failed');
        }
      }
      this.running = false;
      this.later(host);
    });
    return this.work;
  }

  private get state(): ReachabilityStatus['state'] {
    if (this.checks.some(({ verdict }) => verdict === 'reachable')) return 'public';
    if (this.confirmed.length > 0) return 'public';
    const decided = this.checks.some(({ verdict }) => verdict === 'unreachable');
    return decided ? 'private' : 'unknown';
  }

  private start(host: PluginHost): void {
    const { clock, random, logger, node } = host;
    const { mapping, watchMs, look, announces = true } = this.options;
    if (announces) this.announcer.start((addresses) => node.announce(addresses));
    const internalPort = this.options.port();
    if (mapping !== undefined && internalPort !== undefined) {
      const mapper = new PortMapper({ ...mapping, internalPort, clock, random, logger });
      this.mapper = mapper;
      this.ready = mapper
        .start()
        .catch((error: unknown) =>
          logger.error(
            { error: messageOf(error) },
            'no port is mapped: the list of mappings is bad',
          ),
        )
        .then(() => {
          mapper.onChange(() => this.soon(host));
        });
    }
    this.soon(host);
    this.watch = new NetworkWatch({
      clock,
      onChange: () => this.moved(host),
      ...(watchMs !== undefined && { intervalMs: watchMs }),
      ...(look !== undefined && { look }),
    });
    this.watch.start();
  }

  private async stop(): Promise<void> {
    this.stopping.abort(new KadError('KAD_STOPPED', 'the node stops'));
    this.host?.clock.clearTimeout(this.timer);
    this.watch?.stop();
    await this.mapper?.stop();
    await this.work;
  }

  /** Somebody new may help where there were too few. */
  private met(): void {
    const { host } = this;
    if (host === undefined || this.timer === undefined) return;
    const since = host.clock.now() - (this.checkedAt ?? -Infinity);
    const { enough = ENOUGH } = this.options;
    const settled = this.checks.some(({ reached, failed }) => reached + failed >= enough);
    if (settled || this.awaited) return;
    this.awaited = true;
    if (since >= CONTACT_PAUSE_MS) this.soon(host);
    else this.wait(host, CONTACT_PAUSE_MS - since);
  }

  private moved(host: PluginHost): void {
    host.logger.info({}, 'the network has changed: looking again how others can reach us');
    this.failures = 0;
    const { mapper } = this;
    if (mapper === undefined) this.soon(host);
    else void mapper.refresh().finally(() => this.soon(host));
  }

  /** Check in a moment; again, when a check is under way that may not see what is new. */
  private soon(host: PluginHost): void {
    if (this.running) this.again = true;
    else this.wait(host, SOON_MS);
  }

  private wait(host: PluginHost, ms: number): void {
    if (this.stopping.signal.aborted) return;
    host.clock.clearTimeout(this.timer);
    this.timer = host.clock.setTimeout(() => void this.check(), ms);
  }

  private later(host: PluginHost): void {
    if (this.again) return this.wait(host, SOON_MS);
    const good = this.state === 'public' && this.doubted.size === 0;
    this.failures = good ? 0 : this.failures + 1;
    const pause = good
      ? (this.options.checkMs ?? CHECK_MS)
      : Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.failures - 1, 10));
    this.wait(host, pause * (0.75 + 0.5 * randomFraction(host.random)));
  }

  private async run(host: PluginHost): Promise<void> {
    const own = this.observed.flatMap((ip) => addressGroup(ip) ?? ip);
    await this.ready;
    if (this.stopping.signal.aborted) return;
    const { node } = host;
    const few = node.contacts().length < HELPERS;
    // In a network that has just begun, those whom we know may know others by now.
    if (few) await node.lookup(node.identity.nodeId, { signal: this.stopping.signal });
    const known = node.contacts();
    const contacts = known.length >= HELPERS ? known : [...known, ...(await this.seeds(host))];
    const helpers = chooseHelpers(distinct(contacts), HELPERS, host.random, own);
    this.checkedAt = host.clock.now();
    if (helpers.length === 0) return this.tell();
    const named = await Promise.all(helpers.map((helper) => this.whereFrom(host, helper)));
    const observed = agreedAddresses(named.filter((ip) => ip !== undefined));
    if (observed.length > 0) this.observed = observed;
    const networks = new Set(helpers.map((helper) => networksOf(helper)[0]));
    const enough = Math.min(this.options.enough ?? ENOUGH, networks.size);
    const candidates = await this.candidates();
    const checks: AddressCheck[] = [];
    for (const address of candidates) {
      // One after the other: a helper dials a peer once at a time.
      const answers = await Promise.all(
        helpers.map((helper) => this.dialled(host, helper, address)),
      );
      checks.push(judge(address, answers, enough));
      if (this.stopping.signal.aborted) return;
    }
    this.conclude(host, checks);
  }

  /** The nodes at the bootstrap addresses, as contacts. */
  private async seeds(host: PluginHost): Promise<Contact[]> {
    const { bootstrap = [] } = this.options;
    const { signal } = this.stopping;
    const found = await Promise.allSettled(
      bootstrap.slice(0, HELPERS).map(async (address) => {
        const contact = await host.node.resolve(address, { signal, timeoutMs: CALL_MS });
        // It may itself not know yet how it is reached; we do.
        return { ...contact, addresses: [address.replace(/\/[0-9a-f]{64}$/, '')] };
      }),
    );
    return found.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  }

  private async whereFrom(host: PluginHost, helper: Contact): Promise<string | undefined> {
    try {
      const answer = await this.ask(host, helper, OBSERVED_ADDRESS, {});
      const address = (answer as { address?: unknown } | null)?.address;
      const ip = typeof address === 'string' ? canonicalIp(address) : undefined;
      return ip !== undefined && isOtherMachine(ip) ? ip : undefined;
    } catch {
      return undefined;
    }
  }

  private async dialled(host: PluginHost, helper: Contact, address: string): Promise<Answer> {
    try {
      const answer = await this.ask(host, helper, DIAL_BACK, { address });
      const reached = (answer as { reached?: unknown } | null)?.reached;
      return reached === true ? 'reached' : reached === false ? 'failed' : 'silent';
    } catch {
      return 'silent';
    }
  }

  private ask(host: PluginHost, to: Contact, method: string, params: object): Promise<unknown> {
    const { signal } = this.stopping;
    return host.node.call(to, method, params, { timeoutMs: CALL_MS, signal });
  }

  /** What may be an address of ours: the mapped port, our own port, and what the user wrote. */
  private async candidates(): Promise<string[]> {
    const mapped = this.mapper?.mapping?.externalPort;
    const port = this.options.port();
    const locals = new Set(
      Object.values(networkInterfaces()).flatMap((list = []) =>
        list.map(({ address }) => canonicalIp(address)),
      ),
    );
    const found: string[] = [];
    for (const ip of this.observed) {
      const v4 = isIP(ip) === 4;
      // Behind NAT our own port is only there when somebody forwards it by hand, so it comes last.
      const ports = v4 && !locals.has(ip) ? [mapped, port] : [port];
      for (const one of ports) {
        if (one !== undefined) found.push(formatAddress({ host: ip, port: one }));
      }
    }
    const written = await Promise.all((this.options.announce ?? []).map((one) => numeric(one)));
    const all = [...written.filter((one) => one !== undefined), ...found];
    return [...new Set(all)].slice(0, MAX_CANDIDATES);
  }

  private conclude(host: PluginHost, checks: readonly AddressCheck[]): void {
    const good = checks.filter(({ verdict }) => verdict === 'reachable').map((one) => one.address);
    const kept = this.confirmed.filter((address) => {
      const check = checks.find((one) => one.address === address);
      if (check?.verdict === 'reachable') return false;
      // Nobody could say: it stands. A majority says no, or it is not ours any more: it is asked
      // once more, soon, before it goes, unless another one works already.
      if (check?.verdict === 'undecided') return true;
      return good.length === 0 && !this.doubted.has(address);
    });
    this.doubted = new Set(
      kept.filter(
        (address) => checks.find((one) => one.address === address)?.verdict !== 'undecided',
      ),
    );
    this.checks = checks;
    this.confirmed = [...good, ...kept];
    if ((this.options.announce ?? []).length === 0) this.announcer.set('confirmed', this.confirmed);
    const { state, announced } = this.status;
    host.logger.debug({ state, announced, checks }, 'reachability was checked');
    this.tell();
  }

  /** Have those know where we are now who know us, or let us in. */
  private spread(): void {
    const { node, logger } = this.host!;
    for (const contact of node.routingTable.closest(node.identity.nodeId, HELPERS)) {
      node.check(contact);
    }
    const { bootstrap = [] } = this.options;
    // A node without addresses is in nobody's table: with one, it joins as if for the first time.
    if (this.confirmed.length === 0 || bootstrap.length === 0) return;
    if (node.routingTable.size >= HELPERS) return;
    node
      .join(bootstrap, { signal: this.stopping.signal })
      .catch((error: unknown) => logger.debug({ error: messageOf(error) }, 'joining again failed'));
  }

  /** Tell the listeners, if anything is new to them. */
  private tell(): void {
    const { status } = this;
    const { state, mapping, observed } = status;
    // That one more has said the same is no news.
    const said = this.checks.map(({ address, verdict, reached, failed }) => {
      return [address, verdict, Math.min(reached + failed, this.options.enough ?? ENOUGH)];
    });
    const confirmed = JSON.stringify(this.confirmed);
    const news = JSON.stringify([state, confirmed, mapping?.externalPort, observed, said]);
    if (news === this.told) return;
    this.told = news;
    if (confirmed !== this.toldAddresses) this.spread();
    this.toldAddresses = confirmed;
    for (const listener of this.listeners) listener(status);
  }
}

function distinct(contacts: readonly Contact[]): Contact[] {
  return [...new Map(contacts.map((contact) => [contact.nodeId, contact])).values()];
}

/** An address with its name looked up: helpers dial IP addresses only. */
async function numeric(address: string): Promise<string | undefined> {
  try {
    const { host, port, scheme } = parseAddress(address);
    // Names of Tor and I2P are in no DNS, and must not be asked for there.
    if (hiddenNetworkOf(host) !== undefined) return undefined;
    const ip = canonicalIp(host) ?? canonicalIp((await lookup(host)).address);
    return ip === undefined ? undefined : formatAddress({ scheme, host: ip, port });
  } catch {
    return undefined;
  }
}

/** Whether an IPv4 address of this machine is public. */
export function hasPublicAddress(): boolean {
  return Object.values(networkInterfaces()).some((list = []) =>
    list.some(({ address, internal }) => !internal && isPublicIpv4(address)),
  );
}
