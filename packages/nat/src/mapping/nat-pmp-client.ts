import { NatError } from '../errors.js';
import type {
  Gateway,
  MapRequest,
  Mapping,
  MappingClient,
  MappingEnvironment,
  UnmapRequest,
} from './mapping.js';
import {
  decodeAddress,
  decodeMap,
  encodeAddressRequest,
  encodeMapRequest,
} from './nat-pmp-messages.js';
import { askByUdp } from './udp-question.js';

/** The port of routers that speak NAT-PMP and PCP. */
export const PMP_PORT = 5351;

/** Asks a router by NAT-PMP, RFC 6886. */
export class NatPmpClient implements MappingClient {
  readonly protocol = 'nat-pmp';

  constructor(
    private readonly gateway: Gateway,
    private readonly env: MappingEnvironment,
  ) {}

  async map({ internalPort, externalPort, lifetimeSeconds, signal }: MapRequest): Promise<Mapping> {
    const externalAddress = await this.ask(
      'NAT-PMP',
      encodeAddressRequest(),
      decodeAddress,
      signal,
    );
    const granted = await this.ask(
      'NAT-PMP',
      encodeMapRequest({ internalPort, externalPort, lifetimeSeconds }),
      (answer) => decodeMap(answer, internalPort),
      signal,
    );
    if (granted.externalPort === 0 || granted.lifetimeSeconds === 0) {
      throw new NatError('NAT_BAD_ANSWER', 'the router grants port 0, or no time, by NAT-PMP');
    }
    return {
      protocol: this.protocol,
      gateway: this.gateway.address,
      internalAddress: this.gateway.localAddress,
      internalPort,
      externalAddress,
      ...granted,
    };
  }

  async unmap({ internalPort, signal }: UnmapRequest): Promise<void> {
    await this.ask(
      'NAT-PMP',
      encodeMapRequest({ internalPort, externalPort: 0, lifetimeSeconds: 0 }),
      (answer) => decodeMap(answer, internalPort),
      signal,
    );
  }

  private ask<T>(
    what: string,
    message: Uint8Array,
    read: (answer: Uint8Array) => T | undefined,
    signal: AbortSignal,
  ): Promise<T> {
    const { clock, random, ports } = this.env;
    const to = { address: this.gateway.address, port: ports?.pcp ?? PMP_PORT };
    return askByUdp({ to, message, what, read, clock, random, signal });
  }
}
