import { NatError } from '../errors.js';
import type {
  Gateway,
  MapRequest,
  Mapping,
  MappingClient,
  MappingEnvironment,
  UnmapRequest,
} from './mapping.js';
import { PMP_PORT } from './nat-pmp-client.js';
import { type PcpGrant, type PcpMapRequest, decodePcpMap, encodePcpMap } from './pcp-messages.js';
import { askByUdp } from './udp-question.js';

/** Asks a router by PCP, RFC 6887. */
export class PcpClient implements MappingClient {
  readonly protocol = 'pcp';

  constructor(
    private readonly gateway: Gateway,
    private readonly env: MappingEnvironment,
  ) {}

  async map(request: MapRequest): Promise<Mapping> {
    const { internalPort, externalPort, lifetimeSeconds, nonce, signal } = request;
    const granted = await this.ask(
      'PCP',
      { internalPort, externalPort, lifetimeSeconds, nonce },
      signal,
    );
    if (granted.externalPort === 0 || granted.lifetimeSeconds === 0) {
      throw new NatError('NAT_BAD_ANSWER', 'the router grants port 0, or no time, by PCP');
    }
    return {
      protocol: this.protocol,
      gateway: this.gateway.address,
      internalAddress: this.gateway.localAddress,
      internalPort,
      ...granted,
    };
  }

  async unmap({ internalPort, nonce, signal }: UnmapRequest): Promise<void> {
    await this.ask('PCP', { internalPort, externalPort: 0, lifetimeSeconds: 0, nonce }, signal);
  }

  private ask(
    what: string,
    request: Omit<PcpMapRequest, 'clientAddress'>,
    signal: AbortSignal,
  ): Promise<PcpGrant> {
    const { clock, random, ports } = this.env;
    const { address, localAddress } = this.gateway;
    const whole = { ...request, clientAddress: localAddress };
    return askByUdp({
      to: { address, port: ports?.pcp ?? PMP_PORT },
      message: encodePcpMap(whole),
      what,
      read: (answer) => decodePcpMap(answer, whole),
      clock,
      random,
      signal,
    });
  }
}
