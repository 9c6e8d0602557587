// Runs the benchmarks with the flags that every process of ours is started with.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { nodeFlags } from 'granary/node-flags';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

/** With `--small`, for a try: each size that is not given. */
const SMALL = {
  GRANARY_BENCH_MIB: '16',
  GRANARY_BENCH_GIB: '0.25',
  GRANARY_BENCH_SCALE: '0.02',
  GRANARY_BENCH_OBJECTS: '10000',
  GRANARY_BENCH_NODES: '320',
  GRANARY_BENCH_SHARDS: '1000',
  GRANARY_BENCH_PEER_NODES: '20',
  BENCH_BYTES: String(16 * 1024 * 1024),
};

const args = process.argv.slice(2);
const small = args.includes('--small');

const child = spawn(
  process.execPath,
  [...nodeFlags, ...process.execArgv, MAIN, ...args.filter((arg) => arg !== '--small')],
  {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...(small && SMALL), ...process.env },
    // A group of its own, so that all that it has started can be ended with it.
    detached: true,
  },
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => process.kill(-child.pid!, signal));
}
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
