import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { SingleBar } from 'cli-progress';
import type { MiningProgress } from '@granary/kad';
import type { Context } from '../context.js';
import { CliError } from '../cli-error.js';
import { formatDuration } from '../units.js';

/** Options of `granary identity`. */
export interface IdentityOptions {
  readonly data: string;
  readonly threads?: string;
  readonly show?: boolean;
}

/** `granary identity`: make the identity of a node, with a proof of work, before it first runs. */
export async function identity(context: Context, options: IdentityOptions): Promise<void> {
  const { difficultyOf, loadIdentity, mineIdentity, saveIdentity } = await import('@granary/kad');
  const { output, signal } = context;
  const file = join(options.data, 'identity.json');
  if (options.show === true) {
    const { nodeId } = await loadIdentity(file);
    const difficulty = difficultyOf(nodeId);
    output.result({ file, nodeId, difficulty });
    output.line(`${nodeId}\nIts proof of work has ${difficulty} bits.`);
    return;
  }
  const { difficulty = 0 } = context.config;
  const threads =
    options.threads === undefined ? {} : { threads: wholeNumber('--threads', options.threads) };
  // Before the work, and again when the file is written.
  await refuseExisting(file, options.data);
  const progress = startBar(process.stderr.isTTY === true && !output.json);
  let told = 0;
  try {
    const found = await mineIdentity({
      difficulty,
      ...threads,
      signal,
      onProgress: (step) => {
        progress.update(step);
        if (step.elapsedMs - told < 1000) return;
        told = step.elapsedMs;
        output.result({ event: 'progress', ...step });
      },
    });
    progress.stop();
    await saveIdentity(file, found.identity);
    const { nodeId } = found.identity;
    const { attempts, elapsedMs } = found;
    output.result({
      event: 'made',
      file,
      nodeId,
      difficulty: found.difficulty,
      attempts,
      elapsedMs,
    });
    output.line(
      `The identity of node ${nodeId} is in ${file}; keep it secret.\n` +
        `Its proof of work has ${found.difficulty} bits: ${attempts.toLocaleString('en')} keys tried in ${formatDuration(elapsedMs)}.`,
    );
  } catch (error) {
    if (signal.aborted) throw new CliError('CLI_INTERRUPTED', 'stopped; no identity was made');
    throw error;
  } finally {
    progress.stop();
  }
}

function wholeNumber(flag: string, text: string): number {
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  throw new CliError('CLI_USAGE', `${flag} ${text}: it is a whole number`);
}

async function refuseExisting(file: string, directory: string): Promise<void> {
  try {
    await access(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    if (code !== 'ENOTDIR') throw error;
    throw new CliError('CLI_USAGE', `--data ${directory}: it is a file, not a directory`);
  }
  throw new CliError(
    'CLI_EXISTS',
    `there is an identity in ${file} already; it is not replaced ("--show" tells what it is)`,
  );
}

/**
 * A bar of the chance that the key is found by now: the search has no memory, so that there is no
 * time left to be told.
 */
function startBar(enabled: boolean): { update(step: MiningProgress): void; stop(): void } {
  if (!enabled) return { update: () => undefined, stop: () => undefined };
  const bar = new SingleBar({
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
    fps: 10,
    format: (settings, params, payload: { step?: MiningProgress }) => {
      const { step } = payload;
      if (step === undefined) return 'Searching …';
      const size = Math.round((settings.barsize ?? 40) * 0.6);
      const done = Math.round(params.progress * size);
      const mean = (step.expectedAttempts / Math.max(1, step.attemptsPerSecond)) * 1000;
      return (
        `Searching ${'█'.repeat(done)}${'░'.repeat(size - done)} ` +
        `${short(step.attempts)} keys, ${short(step.attemptsPerSecond)}/s  ` +
        `${formatDuration(step.elapsedMs)} of ${formatDuration(mean)} in the mean`
      );
    },
  });
  bar.start(1, 0, {});
  return {
    update: (step) => bar.update(Math.min(step.chance, 0.999), { step }),
    stop: () => bar.stop(),
  };
}

function short(count: number): string {
  return new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }).format(
    count,
  );
}
