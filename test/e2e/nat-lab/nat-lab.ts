import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { must, run } from './command.js';
import { Home, type HomeOptions } from './home.js';
import { LabHost } from './lab-host.js';

/** Names of namespaces of labs begin so; then comes the process that made them. */
const PREFIX = 'gnl-';
/** How many sites there can be: each has a /24 of its own. */
const MAX_SITES = 100;

let labs = 0;

/**
 * A small internet in network namespaces: public hosts, and homes behind real NAT. Each public host
 * and each home has an address in a prefix of its own (203.0.N.0/24), and a core router connects
 * them. The core has no way out of the machine, so that nothing leaves it. The addresses are not
 * documentation ones, since miniupnpd refuses to map ports on those.
 *
 * ```ts
 * const lab = await NatLab.create();
 * try {
 *   const seed = await lab.addPublic('seed');
 *   const home = await lab.addHome('alice', { mapping: true });
 *   const alice = await home.addHost('alice-pc');
 *   const inner = await lab.addHome('bob', {}, await lab.addHome('carrier'));  // NAT behind NAT
 *   const server = seed.start('node', ['server.mjs']);
 *   await server.printed(/listening/);
 *   await alice.must('node', ['client.mjs', seed.address]);
 * } finally {
 *   await lab.close();
 * }
 * ```
 */
export class NatLab {
  private readonly namespaces: string[] = [];
  private readonly homes: Home[] = [];
  private core!: LabHost;
  private sites = 0;
  private hosts = 0;
  private networks = 0;
  private readonly onExit = () => removeSync(this.namespaces);

  private constructor(private readonly prefix: string) {}

  /** An internet with nobody in it. What labs of processes that are gone left is removed first. */
  static async create(): Promise<NatLab> {
    await removeStale();
    labs += 1;
    const lab = new NatLab(`${PREFIX}${process.pid.toString(36)}-${labs.toString(36)}`);
    process.once('exit', lab.onExit);
    try {
      const namespace = await lab.addNamespace();
      lab.core = new LabHost('core', namespace, '');
      await lab.core.must('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  /** A host on the public internet, in a prefix of its own, with `eth0`. */
  async addPublic(name: string): Promise<LabHost> {
    return this.addSite(name, 'eth0');
  }

  /**
   * A home: a router with NAT.
   *
   * @param behind - the home whose router this one's is behind; without it, it is on the internet
   */
  async addHome(name: string, options: HomeOptions = {}, behind?: Home): Promise<Home> {
    const router =
      behind === undefined
        ? await this.addSite(`${name}-router`, 'wan')
        : await this.addInside(behind, `${name}-router`, 'wan');
    this.networks += 1;
    const prefix = `192.168.${this.networks}`;
    await router.ip('link', 'add', 'lan', 'type', 'bridge');
    await router.ip('addr', 'add', `${prefix}.1/24`, 'dev', 'lan');
    await router.ip('link', 'set', 'lan', 'up');
    const home = new Home(name, router, prefix, options, (to, host) =>
      this.addInside(to, host, 'eth0'),
    );
    this.homes.push(home);
    await home.start();
    return home;
  }

  /** End every process in the lab and remove every namespace of it. */
  async close(): Promise<void> {
    process.removeListener('exit', this.onExit);
    await Promise.allSettled(this.homes.map((home) => home.close()));
    for (const namespace of this.namespaces) await remove(namespace);
    this.namespaces.length = 0;
  }

  private async addNamespace(): Promise<string> {
    this.hosts += 1;
    const namespace = `${this.prefix}-${this.hosts.toString(36)}`;
    await must('ip', ['netns', 'add', namespace]);
    this.namespaces.push(namespace);
    await must('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
    return namespace;
  }

  private async addSite(name: string, device: string): Promise<LabHost> {
    if (this.sites >= MAX_SITES) throw new Error(`a lab has at most ${MAX_SITES} sites`);
    this.sites += 1;
    const prefix = `203.0.${this.sites}`;
    const host = new LabHost(name, await this.addNamespace(), `${prefix}.2`);
    const port = `site${this.sites}`;
    await this.link(this.core, port, host, device);
    await this.core.ip('addr', 'add', `${prefix}.1/24`, 'dev', port);
    await this.address(host, device, `${prefix}.1`);
    return host;
  }

  private async addInside(home: Home, name: string, device: string): Promise<LabHost> {
    const namespace = await this.addNamespace();
    const number = this.hosts;
    const host = new LabHost(name, namespace, `${home.prefix}.${10 + (number % 200)}`);
    const port = `port${number}`;
    await this.link(home.router, port, host, device);
    await home.router.ip('link', 'set', port, 'master', 'lan');
    await this.address(host, device, home.gateway);
    return host;
  }

  private async link(from: LabHost, port: string, to: LabHost, device: string): Promise<void> {
    await must('ip', [
      ...['-n', from.namespace, 'link', 'add', port, 'type', 'veth'],
      ...['peer', 'name', device, 'netns', to.namespace],
    ]);
    await from.ip('link', 'set', port, 'up');
  }

  private async address(host: LabHost, device: string, gateway: string): Promise<void> {
    await host.ip('addr', 'add', `${host.address}/24`, 'dev', device);
    await host.ip('link', 'set', device, 'up');
    await host.ip('route', 'add', 'default', 'via', gateway);
  }
}

async function remove(namespace: string): Promise<void> {
  const { stdout } = await run('ip', ['netns', 'pids', namespace]);
  for (const pid of pidsOf(stdout)) kill(pid);
  await run('ip', ['netns', 'del', namespace]);
}

/** When the process ends before the lab was closed, there is no time for promises. */
function removeSync(namespaces: readonly string[]): void {
  for (const namespace of namespaces) {
    const { stdout } = spawnSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' });
    for (const pid of pidsOf(stdout)) kill(pid);
    spawnSync('ip', ['netns', 'del', namespace]);
  }
}

/** Remove the labs of processes that were killed before they could. */
async function removeStale(): Promise<void> {
  let names: string[];
  try {
    names = readdirSync('/run/netns');
  } catch {
    return;
  }
  for (const name of names) {
    const owner = /^gnl-([0-9a-z]+)-/.exec(name)?.[1];
    if (owner !== undefined && !isAlive(parseInt(owner, 36))) await remove(name);
  }
}

function pidsOf(text: string): number[] {
  return (text ?? '').split(/\s+/).filter(Boolean).map(Number);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}
