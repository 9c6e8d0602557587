import { isIPv4 } from 'node:net';
import { NatError } from '../errors.js';
import { deadline } from './deadline.js';
import { randomPort } from './external-port.js';
import { askGateway } from './gateway-http.js';
import { type IgdService, servicesOf } from './igd-description.js';
import type {
  Gateway,
  MapRequest,
  Mapping,
  MappingClient,
  MappingEnvironment,
  UnmapRequest,
} from './mapping.js';
import { UpnpFault, invoke } from './soap.js';
import { findDescription } from './ssdp.js';
import { MAX_XML_LENGTH, parseXml, textOf } from './xml.js';

/** For finding the router's services, and for one action. */
const FIND_MS = 8_000;
const ACTION_MS = 5_000;
/** Ports that are tried before giving up. */
const TRIES = 5;

/** Errors of WANIPConnection, section 2.5. */
const NO_SUCH_ENTRY = 714;
const CONFLICTS = new Set([718, 728, 729]);
const SAME_PORTS_REQUIRED = 724;
const ONLY_PERMANENT_LEASES = 725;
const UNKNOWN_ACTIONS = new Set([401, 602]);

/** Asks a router by UPnP: WANIPConnection 1 and 2, and WANPPPConnection 1. */
export class UpnpClient implements MappingClient {
  readonly protocol = 'upnp';
  private services: readonly IgdService[] | undefined;

  constructor(
    private readonly gateway: Gateway,
    private readonly env: MappingEnvironment,
  ) {}

  async map(request: MapRequest): Promise<Mapping> {
    let failure: unknown;
    for (const service of await this.find(request.signal)) {
      try {
        const granted = await this.mapAt(service, request);
        return {
          protocol: this.protocol,
          gateway: this.gateway.address,
          internalAddress: this.gateway.localAddress,
          internalPort: request.internalPort,
          externalAddress: await this.externalAddress(service, request.signal),
          ...granted,
        };
      } catch (error) {
        failure = error;
        if (request.signal.aborted) break;
      }
    }
    // It may have moved to another port; then the next try finds it.
    this.services = undefined;
    throw failure;
  }

  async unmap({ externalPort, internalPort, tag, signal }: UnmapRequest): Promise<void> {
    for (const service of await this.find(signal)) {
      const entry = await this.entryAt(service, externalPort, signal);
      if (entry === undefined || !this.isOurs(entry, internalPort, tag)) continue;
      await this.act(service, 'DeletePortMapping', portArgs(externalPort), signal);
    }
  }

  /** The router's services that map ports, the best first. */
  private async find(signal: AbortSignal): Promise<readonly IgdService[]> {
    if (this.services !== undefined) return this.services;
    const { address } = this.gateway;
    const limit = deadline(this.env.clock, signal, FIND_MS, 'the search for a router by UPnP');
    try {
      const location = await findDescription(this.gateway, this.env, limit.signal);
      const { status, body } = await askGateway({
        gateway: address,
        url: location,
        method: 'GET',
        maxBytes: MAX_XML_LENGTH,
        signal: limit.signal,
      });
      if (status !== 200) {
        throw new NatError(
          'NAT_BAD_ANSWER',
          `the router's description by UPnP has status ${status}`,
        );
      }
      this.services = servicesOf(parseXml(body), location, address);
      return this.services;
    } finally {
      limit.clear();
    }
  }

  private async mapAt(
    service: IgdService,
    request: MapRequest,
  ): Promise<{ externalPort: number; lifetimeSeconds: number }> {
    let { externalPort, lifetimeSeconds } = request;
    let any = service.version === 2;
    for (let attempt = 0; attempt < TRIES;) {
      try {
        if (any) {
          externalPort = await this.addAny(service, { ...request, externalPort, lifetimeSeconds });
        } else {
          await this.add(service, { ...request, externalPort, lifetimeSeconds });
        }
        return { externalPort, lifetimeSeconds };
      } catch (error) {
        if (!(error instanceof UpnpFault)) throw error;
        const { fault } = error;
        if (any && UNKNOWN_ACTIONS.has(fault)) {
          any = false;
        } else if (fault === ONLY_PERMANENT_LEASES && lifetimeSeconds !== 0) {
          lifetimeSeconds = 0;
        } else if (fault === SAME_PORTS_REQUIRED && externalPort !== request.internalPort) {
          externalPort = request.internalPort;
        } else if (CONFLICTS.has(fault)) {
          attempt += 1;
          externalPort = randomPort(this.env.random);
        } else {
          throw error;
        }
      }
    }
    throw new NatError('NAT_CONFLICT', `${TRIES} ports outside are all taken on the router`);
  }

  /** AddAnyPortMapping: the router chooses another port when the one wanted is taken. */
  private async addAny(service: IgdService, request: MapRequest): Promise<number> {
    const answer = await this.act(
      service,
      'AddAnyPortMapping',
      this.mappingArgs(request),
      request.signal,
    );
    const reserved = Number(textOf(answer, 'NewReservedPort'));
    if (!Number.isInteger(reserved) || reserved < 1 || reserved > 65_535) {
      throw new NatError('NAT_BAD_ANSWER', 'the router reserves a port that is none, by UPnP');
    }
    return reserved;
  }

  /** AddPortMapping. Some routers overwrite what another host has, so we look first. */
  private async add(service: IgdService, request: MapRequest): Promise<void> {
    const { externalPort, internalPort, tag, signal } = request;
    const conflict = () => new UpnpFault(718, 'AddPortMapping', 'the port is mapped to another');
    const before = await this.entryAt(service, externalPort, signal).catch(ignoreFault);
    if (before !== undefined && !this.isOurs(before, internalPort, tag)) throw conflict();
    await this.act(service, 'AddPortMapping', this.mappingArgs(request), signal);
    const after = await this.entryAt(service, externalPort, signal).catch(ignoreFault);
    if (after !== undefined && after.client !== this.gateway.localAddress) throw conflict();
  }

  private async entryAt(
    service: IgdService,
    externalPort: number,
    signal: AbortSignal,
  ): Promise<{ client: string; port: number; description: string } | undefined> {
    try {
      const answer = await this.act(
        service,
        'GetSpecificPortMappingEntry',
        portArgs(externalPort),
        signal,
      );
      return {
        client: textOf(answer, 'NewInternalClient'),
        port: Number(textOf(answer, 'NewInternalPort')),
        description: textOf(answer, 'NewPortMappingDescription'),
      };
    } catch (error) {
      if (error instanceof UpnpFault && error.fault === NO_SUCH_ENTRY) return undefined;
      throw error;
    }
  }

  /** Ours by its description; or, where a router keeps none, by where it leads. */
  private isOurs(
    entry: { client: string; port: number; description: string },
    internalPort: number,
    tag: string,
  ): boolean {
    if (entry.description === tag) return true;
    return (
      entry.description === '' &&
      entry.client === this.gateway.localAddress &&
      entry.port === internalPort
    );
  }

  private async externalAddress(
    service: IgdService,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    try {
      const answer = await this.act(service, 'GetExternalIPAddress', [], signal);
      const address = textOf(answer, 'NewExternalIPAddress');
      return isIPv4(address) ? address : undefined;
    } catch (error) {
      if (error instanceof NatError && !signal.aborted) return undefined;
      throw error;
    }
  }

  private mappingArgs(request: MapRequest): (readonly [string, string | number])[] {
    return [
      ...portArgs(request.externalPort),
      ['NewInternalPort', request.internalPort],
      ['NewInternalClient', this.gateway.localAddress],
      ['NewEnabled', 1],
      ['NewPortMappingDescription', request.tag],
      ['NewLeaseDuration', request.lifetimeSeconds],
    ];
  }

  private async act(
    service: IgdService,
    action: string,
    args: readonly (readonly [string, string | number])[],
    signal: AbortSignal,
  ) {
    const { clock } = this.env;
    const limit = deadline(clock, signal, ACTION_MS, `${action} by UPnP`);
    try {
      return await invoke(this.gateway.address, service, action, args, limit.signal);
    } finally {
      limit.clear();
    }
  }
}

function portArgs(externalPort: number): (readonly [string, string | number])[] {
  return [
    ['NewRemoteHost', ''],
    ['NewExternalPort', externalPort],
    ['NewProtocol', 'TCP'],
  ];
}

/** Routers may not let others' entries be seen; then the answer to the mapping has to do. */
function ignoreFault(error: unknown): undefined {
  if (error instanceof UpnpFault) return undefined;
  throw error;
}
