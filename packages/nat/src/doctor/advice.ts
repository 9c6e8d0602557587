import type { Diagnosis } from './diagnosis.js';
import type { NatKind, PortBehaviour } from './nat-kind.js';

/** What the kind of NAT means, in one sentence. */
export function explainNat(kind: NatKind): string {
  switch (kind) {
    case 'none':
      return 'This machine has an address of its own on the Internet: no router translates it.';
    case 'one':
      return 'One router stands between this machine and the Internet, and shares its address with all that is behind it (NAT).';
    case 'several':
      return 'Two or more routers, one behind the other, stand between this machine and the Internet (double NAT).';
    case 'carrier':
      return 'The provider puts many customers behind one address (carrier-grade NAT).';
    case 'some':
      return "One or more routers stand between this machine and the Internet (NAT). The router does not tell which address it has, so it can't be said how many there are.";
    case 'unknown':
      return 'This machine has a private address; what is between it and the Internet is not known, since no other node could be asked.';
  }
}

/** What becomes of ports, in one sentence; empty when it is not known. */
export function explainPorts(ports: PortBehaviour): string {
  switch (ports) {
    case 'kept':
      return 'Connections keep their port on the way out, so that two nodes behind such routers can often connect directly.';
    case 'same':
      return 'Connections get another port on the way out, the same for all destinations, so that two nodes behind such routers can often connect directly.';
    case 'different':
      return 'Connections get another port for each destination (symmetric NAT), so that nobody can guess where to connect to.';
    case 'unknown':
      return '';
  }
}

const TUNNELLED =
  'Or leave it as it is: a farmer that nobody can reach is reached through a tunnel, another node that passes its connections on (--tunnels). It is slower, and the tunnel may not be there for ever.';

/** What the user can do, a sentence or two each; the most promising first. */
export function advise(diagnosis: Diagnosis): string[] {
  const { reachable, nat, mapping, trials, gateway, networkError, nodes } = diagnosis;
  const router = gateway === undefined ? 'the router' : `the router (http://${gateway.address})`;
  const local = gateway?.localAddress ?? 'this machine';
  const mapped = mapping !== undefined || trials.some((trial) => trial.mapping !== undefined);
  if (reachable === true) {
    return [
      mapping === undefined
        ? 'Nothing: others can reach this machine. Start the farmer with --host 0.0.0.0.'
        : 'Nothing: others can reach this machine through the port that the router maps. Start the farmer with --host 0.0.0.0, and it is mapped by itself.',
    ];
  }
  if (reachable === undefined) {
    const advice = [
      networkError !== undefined
        ? `Check the connection and the bootstrap address: ${networkError}.`
        : nodes === 0
          ? 'Name a node of the network with --bootstrap https://HOST:PORT, so that others can be asked to dial back.'
          : 'Try again later: the nodes that could be asked had no time to dial back.',
    ];
    if (!mapped && nat !== 'none' && gateway !== undefined) advice.push(turnOn(router));
    return advice;
  }
  return [...remedies(diagnosis, router, local, mapped), TUNNELLED];
}

function remedies(
  { nat, port }: Diagnosis,
  router: string,
  local: string,
  mapped: boolean,
): string[] {
  switch (nat) {
    case 'none':
      return [
        `A firewall keeps others out. Let TCP connections in to port ${port}, or to the one that the farmer gets with --port.`,
      ];
    case 'carrier':
      return [
        'Nothing on this side helps, since the address belongs to the provider: ask it for a public IPv4 address, or for IPv6.',
        'A farmer can run on a machine elsewhere that has a public address. Storing and reading need none of this.',
      ];
    case 'several':
      return [
        `Have one router do all the work: switch ${router} or the one before it to bridge mode.`,
        `Or forward a TCP port on each: from the outer one to the inner one, and from there to ${local}; then start the farmer with --port and with --announce https://ADDRESS:PORT.`,
      ];
    case 'one':
    case 'some':
    case 'unknown': {
      const forward = `Or forward a TCP port by hand: in ${router}, from port 4600 outside to ${local}, port 4600; then start the farmer with --host 0.0.0.0 --port 4600.`;
      if (!mapped) return [turnOn(router), forward, beyond(nat)].filter((one) => one !== '');
      return [
        `The router maps a port, but nobody gets through it: look for a firewall in ${router} or on this machine that blocks it.`,
        forward,
        beyond(nat),
      ].filter((one) => one !== '');
    }
  }
}

function turnOn(router: string): string {
  return `Turn on port mapping in ${router}: it is called UPnP, NAT-PMP or PCP in its settings, often under "network" or "games".`;
}

function beyond(nat: NatKind): string {
  return nat === 'one'
    ? ''
    : "If that does not help, there is another router in between, perhaps the provider's: ask it for a public IPv4 address, or for IPv6.";
}
