import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LabHost, LabProcess } from './lab-host.js';

/** What a home's router is like. */
export interface HomeOptions {
  /**
   * What miniupnpd on the router offers; without it nothing does. `true` is all of it: UPnP IGD v2,
   * NAT-PMP and PCP.
   */
  readonly mapping?:
    | true
    | {
        readonly upnp?: boolean;
        readonly natpmp?: boolean;
        /** Describe itself as IGD version 1, as old routers do. */
        readonly igdV1?: boolean;
      };
  /**
   * How the router chooses the port outside. `preserve`: the one inside when it is free, the same for
   * all destinations (what hole punching needs). `random`: another for each destination (symmetric).
   */
  readonly ports?: 'preserve' | 'random';
}

/** A home: a router with NAT, and hosts behind it on 192.168.N.0/24. */
export class Home {
  private mapper: LabProcess | undefined;
  private directory: string | undefined;

  constructor(
    readonly name: string,
    /** The router; its address is the one outside. */
    readonly router: LabHost,
    /** The first three numbers of the addresses inside; the router is `.1`. */
    readonly prefix: string,
    readonly options: HomeOptions,
    private readonly connect: (home: Home, name: string) => Promise<LabHost>,
  ) {}

  /** The router's address inside: the default gateway of the hosts. */
  get gateway(): string {
    return `${this.prefix}.1`;
  }

  /** The router's address outside. Public, unless this home is behind another. */
  get outside(): string {
    return this.router.address;
  }

  /** One more host in this home. */
  addHost(name: string): Promise<LabHost> {
    return this.connect(this, name);
  }

  /** Turn the router on: its firewall, its NAT, and miniupnpd when it has it. */
  async start(): Promise<void> {
    const { router, options } = this;
    await router.must('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
    await router.must('nft', ['-f', '-'], { input: ruleset(options.ports === 'random') });
    if (options.mapping !== undefined) await this.startMapper();
  }

  /** Start miniupnpd, as the router does when it starts. */
  async startMapper(): Promise<void> {
    const {
      upnp = true,
      natpmp = true,
      igdV1 = false,
    } = this.options.mapping === true ? {} : (this.options.mapping ?? {});
    this.directory ??= await mkdtemp(join(tmpdir(), 'granary-lab-'));
    const config = join(this.directory, 'miniupnpd.conf');
    const yes = (value: boolean) => (value ? 'yes' : 'no');
    await writeFile(
      config,
      [
        'ext_ifname=wan',
        'listening_ip=lan',
        'port=0',
        `enable_upnp=${yes(upnp)}`,
        `enable_natpmp=${yes(natpmp)}`,
        `force_igd_desc_v1=${yes(igdV1)}`,
        'secure_mode=yes',
        'ipv6_disable=yes',
        'uuid=e377b63d-196a-4a59-8ae1-1af9a59ae115',
        `allow 1024-65535 ${this.prefix}.0/24 1-65535`,
        'deny 0-65535 0.0.0.0/0 0-65535',
        '',
      ].join('\n'),
    );
    this.mapper = this.router.start('miniupnpd', [
      '-d',
      '-f',
      config,
      '-P',
      join(this.directory, 'miniupnpd.pid'),
    ]);
    await this.mapper.printed(upnp ? /HTTP listening on port/ : /Listening for NAT-PMP/);
  }

  /** Stop miniupnpd; its mappings go, as when a router restarts. */
  async stopMapper(): Promise<void> {
    await this.mapper?.stop();
    this.mapper = undefined;
    for (const chain of ['miniupnpd', 'prerouting_miniupnpd', 'postrouting_miniupnpd']) {
      await this.router.must('nft', ['flush', 'chain', 'inet', 'filter', chain]);
    }
  }

  /** What miniupnpd has mapped: port outside, host and port inside. */
  async mappings(): Promise<{ external: number; host: string; port: number }[]> {
    const chain = await this.router.must('nft', [
      '-n',
      'list',
      'chain',
      'inet',
      'filter',
      'prerouting_miniupnpd',
    ]);
    const rule = /dport (\d+) dnat (?:ip )?to ([\d.]+):(\d+)/;
    return chain.split('\n').flatMap((line) => {
      const match = rule.exec(line);
      if (match === null) return [];
      const [, external, host = '', port] = match;
      return [{ external: Number(external), host, port: Number(port) }];
    });
  }

  /** What miniupnpd has logged. */
  log(): string {
    return this.mapper?.output() ?? '';
  }

  /** Remove what is not in a namespace. */
  async close(): Promise<void> {
    await this.mapper?.stop();
    if (this.directory !== undefined) await rm(this.directory, { recursive: true, force: true });
  }
}

/** A home router: what is inside may go out; what is outside comes in only where it is let. */
function ruleset(random: boolean): string {
  return `
table inet filter {
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
    jump miniupnpd
  }
  chain input {
    type filter hook input priority filter; policy accept;
    ct state established,related accept
    iifname "wan" drop
  }
  chain prerouting {
    type nat hook prerouting priority dstnat;
    jump prerouting_miniupnpd
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    jump postrouting_miniupnpd
    oifname "wan" masquerade${random ? ' fully-random' : ''}
  }
}
`;
}
