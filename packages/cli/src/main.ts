import { CommanderError } from 'commander';
import { CliError } from './cli-error.js';
import { EXIT_CODES } from './exit-codes.js';
import { reportError } from './output.js';
import { createProgram } from './program.js';
import { ownVersion } from './version.js';

const args = process.argv.slice(2);
const json = args.includes('--json');
const debug = /--log-level[= ](debug|trace)/.test(args.join(' '));

const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    // To a command that listens to it, a hangup means to read its files again.
    if (name === 'SIGHUP' && process.listenerCount(name) > 1) return;
    // The second signal means now.
    if (stopping.signal.aborted) process.exit(EXIT_CODES.interrupted);
    stopping.abort(new CliError('CLI_INTERRUPTED', 'stopped'));
  });
}
// A reader that has seen enough (head, less) is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : reportError(error, json, debug));
});

const version = ownVersion();

try {
  if (args.length === 0) createProgram(version, stopping.signal, json).outputHelp();
  else await createProgram(version, stopping.signal, json).parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_CODES.usage;
    if (json && error.exitCode !== 0) {
      reportError(new CliError('CLI_USAGE', error.message.replace(/^error: /, '')), json, debug);
    }
  } else {
    process.exitCode = reportError(error, json, debug);
  }
}
