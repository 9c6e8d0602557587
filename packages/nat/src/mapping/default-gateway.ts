import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import type { Gateway } from './mapping.js';
import { gatewayOfProcRoute, gatewayOfRouteGet, gatewayOfRoutePrint } from './routing-tables.js';

const COMMAND_MS = 3_000;

/**
 * The default gateway from the system's routing table, and our own address towards it; undefined
 * when there is none over IPv4.
 */
export async function findDefaultGateway(): Promise<Gateway | undefined> {
  const address = await gatewayAddress();
  if (address === undefined || !isIPv4(address) || address === '0.0.0.0') return undefined;
  const localAddress = await addressTowards(address);
  return localAddress === undefined ? undefined : { address, localAddress };
}

async function gatewayAddress(): Promise<string | undefined> {
  if (process.platform === 'linux' || process.platform === 'android') {
    const text = await readFile('/proc/net/route', 'utf8').catch(() => '');
    return gatewayOfProcRoute(text);
  }
  return process.platform === 'win32'
    ? gatewayOfRoutePrint(await command('route', ['print', '-4', '0.0.0.0']))
    : gatewayOfRouteGet(await command('route', ['-n', 'get', 'default']));
}

/** What a command of the system prints; nothing when it fails. */
function command(file: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(
      file,
      args,
      { timeout: COMMAND_MS, maxBuffer: 256 * 1024, windowsHide: true },
      (error, stdout) => resolve(error === null ? stdout : ''),
    );
  });
}

/** Our own address when we send to another; asks the system only, and sends nothing. */
export function addressTowards(address: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const finish = (own: string | undefined) => {
      socket.close();
      resolve(own);
    };
    socket.once('error', () => finish(undefined));
    // Any port: a connected UDP socket has an address of its own, and that is all we want.
    socket.connect(9, address, (error?: Error) => {
      if (error !== undefined) return finish(undefined);
      const own = socket.address().address;
      finish(isIPv4(own) && own !== '0.0.0.0' ? own : undefined);
    });
  });
}
