import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Context } from '../context.js';
import { askNewPassword, givenPassword } from '../password.js';

/** `granary init`: make the keys of a renter, or restore them from their words. */
export async function init(
  context: Context,
  options: { words?: string; password?: boolean },
): Promise<void> {
  const { RenterKeys, entropyFromWords, generateWords, saveKeyFile } =
    await import('@granary/renter');
  const { home, flags, output } = context;
  const words = options.words ?? generateWords();
  const entropy = entropyFromWords(words);
  let password = await givenPassword(flags.passwordFile, process.env);
  if (options.password === true && password === undefined) password = await askNewPassword();
  await mkdir(home, { recursive: true, mode: 0o700 });
  await saveKeyFile(join(home, 'keys.json'), entropy, password);
  if (flags.bootstrap !== undefined) await rememberBootstrap(home, flags.bootstrap);
  const { nodeId } = RenterKeys.fromEntropy(entropy).identity;
  const restored = options.words !== undefined;
  output.result({ home, nodeId, sealed: password !== undefined, ...(restored ? {} : { words }) });
  output.line(
    `Keys are in ${home}/keys.json${password === undefined ? '' : ', under your password'}.`,
  );
  output.line(`Your node ID is ${nodeId}.`);
  if (restored) return;
  const list = words.split(' ').map((word, i) => `${String(i + 1).padStart(2)}. ${word.padEnd(9)}`);
  output.line(
    '\nWrite these 24 words on paper, in this order. They are your keys: who has them has',
  );
  output.line('everything, and without them and this directory nobody can read your data again.\n');
  for (let i = 0; i < 24; i += 4) output.line(`  ${list.slice(i, i + 4).join(' ')}`);
  output.line('\nThey are not shown again.');
}

/** Keep the addresses given with --bootstrap, unless there is a configuration already. */
export async function rememberBootstrap(home: string, bootstrap: readonly string[]): Promise<void> {
  const text = `${JSON.stringify({ bootstrap }, null, 2)}\n`;
  await writeFile(join(home, 'config.json'), text, { flag: 'wx', mode: 0o600 }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    },
  );
}
