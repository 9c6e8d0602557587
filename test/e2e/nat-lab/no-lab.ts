import { spawnSync } from 'node:child_process';

/**
 * Why network namespaces can't be made here; undefined when they can. In CI they must be: there the
 * tests run, and fail when they can't.
 */
export const noLab: string | undefined =
  process.env['CI'] !== undefined ? undefined : whatIsMissing();

function whatIsMissing(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux';
  if (process.getuid?.() !== 0) return 'only root can make network namespaces';
  for (const [command, pack] of [
    ['ip', 'iproute2'],
    ['nft', 'nftables'],
    ['miniupnpd', 'miniupnpd'],
  ] as const) {
    // Each of them answers to some such word and ends; only whether it is there matters.
    const { error } = spawnSync(command, ['-V'], { stdio: 'ignore', timeout: 5_000 });
    if (error !== undefined) return `${command} is not installed (Debian: apt-get install ${pack})`;
  }
  const name = `gnl-${process.pid.toString(36)}-probe`;
  const made = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8', timeout: 5_000 });
  if (made.status !== 0) return `network namespaces can't be made: ${made.stderr.trim()}`;
  spawnSync('ip', ['netns', 'del', name], { timeout: 5_000 });
  return undefined;
}
