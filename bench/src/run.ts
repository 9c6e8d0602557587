// Runs the benchmarks with the flags that every process of ours is started with.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { nodeFlags } from 'granary/node-flags';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

const child = spawn(
  process.execPath,
  [...nodeFlags, ...process.execArgv, MAIN, ...process.argv.slice(2)],
  { stdio: 'inherit' },
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
