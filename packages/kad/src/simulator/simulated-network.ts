import type { Contact } from '../contact.js';
import { KadError } from '../errors.js';
import type { IncomingRequest } from '../rpc-channel.js';
import type { VirtualClock } from './virtual-clock.js';

/** A machine on the simulated network. */
export interface SimulatedHost {
  /** Its address, such as `https://20.1.2.3:1`. */
  readonly address: string;
  /** Its IP address, as others see where its messages come from. */
  readonly ip: string;
  /** The ID of the node there. */
  readonly nodeId: string;
  /** False once it has crashed: it neither answers nor asks. */
  alive: boolean;
  /** Behind a NAT without port mapping: it can ask, and can't be asked. */
  readonly reachable: boolean;
  /** The contact that it answers with. */
  contact(): Contact;
  /** Takes a request; `undefined` is silence, for attackers. */
  receive(request: IncomingRequest): Promise<unknown> | undefined;
}

/** What the network does to messages. */
export interface NetworkConditions {
  /** Milliseconds one way between two addresses. */
  readonly latency: (from: string, to: string) => number;
  /** The share of messages that are lost, 0 to 1, each way. */
  readonly loss: number;
  /** Chance, in [0, 1). */
  readonly chance: () => number;
}

/** Hosts, and what is between them. */
export class SimulatedNetwork {
  private readonly hosts = new Map<string, SimulatedHost>();
  /** Requests sent so far. */
  requests = 0;
  /** Requests sent so far, by method. */
  readonly byMethod = new Map<string, number>();

  constructor(
    readonly clock: VirtualClock,
    readonly conditions: NetworkConditions,
  ) {}

  attach(host: SimulatedHost): void {
    if (this.hosts.has(host.address)) {
      throw new KadError('KAD_PORT_IN_USE', `${host.address} is taken`);
    }
    this.hosts.set(host.address, host);
  }

  detach(address: string): void {
    this.hosts.delete(address);
  }

  /** Who is at an address, if anybody that can be reached. */
  at(address: string): SimulatedHost | undefined {
    const host = this.hosts.get(address);
    return host?.alive === true && host.reachable ? host : undefined;
  }

  count(method: string): void {
    this.requests += 1;
    this.byMethod.set(method, (this.byMethod.get(method) ?? 0) + 1);
  }

  /** Carry something to an address: runs after the latency, or never when it is lost. */
  carry(from: string, to: string, run: () => void): void {
    const { latency, loss, chance } = this.conditions;
    if (loss > 0 && chance() < loss) return;
    this.clock.setTimeout(run, Math.max(1, latency(from, to)));
  }
}
