import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { LabHost, must, run } from '../nat-lab/index.js';

/** Addresses of a {@link ProxyLab}, from the ranges for documentation (RFC 5737, RFC 3849). */
export const ADDRESSES = {
  near: { v4: '198.51.100.2', v6: '2001:db8:1::2' },
  far: { v4: '203.0.113.2', v6: '2001:db8:2::2' },
  /** The proxy's machine has a foot on each side. */
  proxy: {
    near: { v4: '198.51.100.1', v6: '2001:db8:1::1' },
    far: { v4: '203.0.113.1', v6: '2001:db8:2::1' },
  },
  /** Where those on both sides ask for names. Nobody is there. */
  nameServer: '192.0.2.53',
} as const;

let labs = 0;

/**
 * Three machines in network namespaces: `near` and `far`, and between them that of a proxy, which
 * forwards no packets. The routes of near and far lead to it, for IPv4 and IPv6, so that whatever
 * leaves them is on the wire for all to see, and gets nowhere. Only the proxy's machine knows names.
 */
export class ProxyLab {
  private readonly onExit = () => this.removeNow();

  private constructor(
    readonly near: LabHost,
    readonly proxy: LabHost,
    readonly far: LabHost,
  ) {}

  /** @param names - what names of hosts the proxy's machine knows, and where they lead */
  static async create(names: Readonly<Record<string, string>> = {}): Promise<ProxyLab> {
    labs += 1;
    const prefix = `gpl-${process.pid.toString(36)}-${labs.toString(36)}`;
    const { near, far, proxy } = ADDRESSES;
    const lab = new ProxyLab(
      new LabHost('near', `${prefix}-near`, near.v4),
      new LabHost('proxy', `${prefix}-proxy`, proxy.near.v4),
      new LabHost('far', `${prefix}-far`, far.v4),
    );
    process.once('exit', lab.onExit);
    try {
      await lab.make(names);
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  /** End every process in it and remove it. */
  async close(): Promise<void> {
    process.removeListener('exit', this.onExit);
    this.removeNow();
    await Promise.resolve();
  }

  private get hosts(): readonly LabHost[] {
    return [this.near, this.proxy, this.far];
  }

  private async make(names: Readonly<Record<string, string>>): Promise<void> {
    for (const host of this.hosts) {
      await must('ip', ['netns', 'add', host.namespace]);
      // What `ip netns exec` shows a process in place of the machine's own files.
      const etc = `/etc/netns/${host.namespace}`;
      mkdirSync(etc, { recursive: true });
      writeFileSync(
        `${etc}/resolv.conf`,
        `nameserver ${ADDRESSES.nameServer}\noptions timeout:1 attempts:1\n`,
      );
      const known = host === this.proxy ? Object.entries(names) : [];
      const lines = [['localhost', '127.0.0.1'], ...known].map(([name, to]) => `${to} ${name}\n`);
      writeFileSync(`${etc}/hosts`, lines.join(''));
      await host.ip('link', 'set', 'lo', 'up');
      // The kernel itself asks who else is on the link; here that is known.
      for (const setting of ['accept_dad=0', 'router_solicitations=0']) {
        await host.must('sysctl', ['-qw', `net.ipv6.conf.default.${setting}`]);
      }
    }
    await this.link(this.near, ADDRESSES.near, 'near', ADDRESSES.proxy.near);
    await this.link(this.far, ADDRESSES.far, 'far', ADDRESSES.proxy.far);
  }

  private async link(
    host: LabHost,
    own: { v4: string; v6: string },
    port: string,
    gateway: { v4: string; v6: string },
  ): Promise<void> {
    await must('ip', [
      ...['-n', this.proxy.namespace, 'link', 'add', port, 'type', 'veth'],
      ...['peer', 'name', 'eth0', 'netns', host.namespace],
    ]);
    const ends = [
      { at: host, device: 'eth0', to: own },
      { at: this.proxy, device: port, to: gateway },
    ];
    for (const { at, device, to } of ends) {
      await at.ip('addr', 'add', `${to.v4}/24`, 'dev', device);
      await at.ip('addr', 'add', `${to.v6}/64`, 'dev', device, 'nodad');
      await at.ip('link', 'set', device, 'up');
    }
    const [inner, outer] = await Promise.all(ends.map(({ at, device }) => macOf(at, device)));
    for (const family of ['v4', 'v6'] as const) {
      await host.ip(
        ...['neigh', 'replace', gateway[family], 'lladdr', outer!],
        ...['dev', 'eth0', 'nud', 'permanent'],
      );
      await this.proxy.ip(
        ...['neigh', 'replace', own[family], 'lladdr', inner!],
        ...['dev', port, 'nud', 'permanent'],
      );
      await host.ip('route', 'add', 'default', 'via', gateway[family], 'dev', 'eth0');
    }
  }

  private removeNow(): void {
    for (const { namespace } of this.hosts) {
      const { stdout } = spawnSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' });
      for (const pid of (stdout ?? '').split(/\s+/).filter(Boolean)) {
        try {
          process.kill(Number(pid), 'SIGKILL');
        } catch {
          // It ended by itself.
        }
      }
      spawnSync('ip', ['netns', 'del', namespace]);
      rmSync(`/etc/netns/${namespace}`, { recursive: true, force: true });
    }
  }
}

async function macOf(host: LabHost, device: string): Promise<string> {
  const { stdout } = await run('ip', ['-n', host.namespace, '-j', 'link', 'show', device]);
  return (JSON.parse(stdout) as { address: string }[])[0]!.address;
}
