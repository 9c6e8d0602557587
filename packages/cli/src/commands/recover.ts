import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { makeDirectory } from '@granary/kad';
import { CliError } from '../cli-error.js';
import { type Context, withRenter } from '../context.js';
import { givenPassword } from '../password.js';
import { formatSize } from '../units.js';
import { rememberNetwork } from './init.js';
import { type RecoverBridgeOptions, restoreBridge } from './recover-bridge.js';

/** `granary recover` */
export async function recover(
  context: Context,
  options: RecoverBridgeOptions & { words?: string },
): Promise<void> {
  const { entropyFromWords, saveKeyFile } = await import('@granary/renter');
  const { home, flags, output, signal } = context;
  const keyFile = join(home, 'keys.json');
  const haveKeys = await access(keyFile).then(
    () => true,
    () => false,
  );
  if (haveKeys && options.words !== undefined) {
    throw new CliError('CLI_EXISTS', `${home} has keys already: recover into an empty --home`);
  }
  if (!haveKeys) {
    const entropy = entropyFromWords(options.words ?? (await askWords()));
    await makeDirectory(home);
    await saveKeyFile(keyFile, entropy, await givenPassword(flags.passwordFile, process.env));
    await rememberNetwork(context);
  }
  await withRenter(context, async (renter) => {
    const report = await renter.recover({ signal });
    output.line(
      `Recovered ${report.objects} ${report.objects === 1 ? 'object' : 'objects'}, ${formatSize(report.bytes)}: "granary ls" lists them.`,
    );
    for (const { farmer, reason } of report.unreachable) {
      output.note(
        `  no contracts from farmer ${farmer} yet: ${reason.replace(`farmer ${farmer} `, 'it ')}`,
      );
    }
    const bridge = await restoreBridge(context, renter, options);
    output.result({ home, ...report, ...(bridge !== undefined && { bridge }) });
  });
}

async function askWords(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('The 24 words: ');
  const lines = createInterface({ input: process.stdin });
  let words = '';
  for await (const line of lines) {
    words += ` ${line}`;
    if (words.trim().split(/\s+/).length >= 24) break;
  }
  lines.close();
  return words;
}

/** `granary export` */
export async function exportTo(context: Context, file: string): Promise<void> {
  const { output } = context;
  const target = resolve(file);
  const taken = await access(target).then(
    () => true,
    () => false,
  );
  if (taken) throw new CliError('CLI_EXISTS', `${file} is there already`);
  await withRenter(context, async (renter) => {
    const rows = await renter.export(target);
    output.result({ file: target, rows });
    output.line(
      `Exported ${rows} records to ${file}, sealed: the same keys are needed to read it.`,
    );
  });
}

/** `granary import` */
export async function importFrom(context: Context, file: string): Promise<void> {
  const { output } = context;
  await withRenter(context, async (renter) => {
    const rows = await renter.import(resolve(file));
    output.result({ file, rows });
    output.line(`Imported ${rows} records: "granary ls" lists the objects.`);
  });
}
