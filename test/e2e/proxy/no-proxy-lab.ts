import { spawnSync } from 'node:child_process';

/**
 * Why there can be no proxies in network namespaces here; undefined when there can. In CI there must
 * be.
 */
export const noProxyLab: string | undefined =
  process.env['CI'] !== undefined ? undefined : whatIsMissing();

function whatIsMissing(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux';
  if (process.getuid?.() !== 0) return 'only root can make network namespaces';
  for (const [command, pack] of [
    ['ip', 'iproute2'],
    ['tcpdump', 'tcpdump'],
    ['microsocks', 'microsocks'],
    ['tor', 'tor'],
    ['tor-gencert', 'tor'],
  ] as const) {
    // Each of them answers to some such word and ends; only whether it is there matters.
    const { error } = spawnSync(command, ['--version'], { stdio: 'ignore', timeout: 5_000 });
    if (error !== undefined) return `${command} is not installed (Debian: apt-get install ${pack})`;
  }
  const name = `gpl-${process.pid.toString(36)}-probe`;
  const made = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8', timeout: 5_000 });
  if (made.status !== 0) return `network namespaces can't be made: ${made.stderr.trim()}`;
  spawnSync('ip', ['netns', 'del', name], { timeout: 5_000 });
  return undefined;
}
