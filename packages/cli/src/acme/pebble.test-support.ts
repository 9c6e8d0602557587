import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);
const PEBBLE = '/usr/bin/pebble';

/** Why there can be no test with an authority here; undefined when there can. In CI there must be. */
export const noPebble: string | undefined =
  existsSync(PEBBLE) || process.env['CI'] !== undefined
    ? undefined
    : `${PEBBLE} is not installed (Debian: apt-get install pebble)`;

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** An authority of certificates on this machine: Let's Encrypt's Pebble. Every name leads to 127.0.0.1. */
export class Pebble {
  private constructor(
    private readonly processes: readonly ChildProcess[],
    private readonly directory: string,
    /** Of its ACME service. */
    readonly url: string,
    private readonly management: string,
    /** The port that stands for 80. */
    readonly httpPort: number,
    /** The certificate that its own HTTPS is to be trusted by: a file. */
    readonly ca: string,
  ) {}

  static async start(): Promise<Pebble> {
    if (!existsSync(PEBBLE)) throw new Error(`${PEBBLE} is missing: apt-get install pebble`);
    const directory = await mkdtemp(join(tmpdir(), 'granary-pebble-'));
    const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
    await exec('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=pebble'],
      ...['-addext', 'subjectAltName=IP:127.0.0.1'],
    ]);
    const [acme, management, http, tls, dns, control] = await Promise.all(
      Array.from({ length: 6 }, freePort),
    );
    const config = join(directory, 'config.json');
    const pebble = {
      listenAddress: `127.0.0.1:${acme}`,
      managementListenAddress: `127.0.0.1:${management}`,
      certificate: cert,
      privateKey: key,
      httpPort: http,
      tlsPort: tls,
      certificateValidityPeriod: 90 * 24 * 3600,
    };
    await writeFile(config, JSON.stringify({ pebble }));
    const names = spawn(
      'pebble-challtestsrv',
      [
        ...['-dns01', `127.0.0.1:${dns}`, '-management', `127.0.0.1:${control}`],
        ...['-http01', '', '-https01', '', '-tlsalpn01', '', '-defaultIPv6', ''],
      ],
      { stdio: 'ignore' },
    );
    const authority = spawn(PEBBLE, ['-config', config, '-dnsserver', `127.0.0.1:${dns}`], {
      stdio: 'ignore',
      // It waits for no reason otherwise, and refuses good nonces.
      env: { ...process.env, PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '0' },
    });
    const made = new Pebble(
      [names, authority],
      directory,
      `https://127.0.0.1:${acme}/dir`,
      `https://127.0.0.1:${management}`,
      http!,
      cert,
    );
    for (let tries = 0; ; tries += 1) {
      try {
        await made.fetch(made.url);
        return made;
      } catch (error) {
        if (tries > 100) {
          await made.stop();
          throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  /** The certificate at the root of those that it gives, PEM. */
  root(): Promise<string> {
    return this.fetch(`${this.management}/roots/0`);
  }

  async stop(): Promise<void> {
    for (const child of this.processes) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
    }
    await rm(this.directory, { recursive: true, force: true });
  }

  private async fetch(url: string): Promise<string> {
    const ca = await readFile(this.ca);
    return new Promise((resolve, reject) => {
      const asked = request(url, { ca, timeout: 5_000, agent: false }, (response) => {
        let text = '';
        response.on('data', (data: Buffer) => (text += data.toString()));
        response.on('end', () => resolve(text));
      });
      asked.on('error', reject);
      asked.on('timeout', () => asked.destroy(new Error('no answer')));
      asked.end();
    });
  }
}
