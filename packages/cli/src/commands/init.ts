import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '@granary/kad';
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
  await makeDirectory(home);
  await saveKeyFile(join(home, 'keys.json'), entropy, password);
  await rememberNetwork(context);
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

/**
 * Keep the addresses given with --bootstrap, and the proxy given with --proxy, unless there is a
 * configuration already.
 */
export async function rememberNetwork({ home, flags, output }: Context): Promise<void> {
  const { bootstrap, proxy } = flags;
  if (bootstrap === undefined && proxy === undefined) return;
  const file = join(home, 'config.json');
  const text = `${JSON.stringify({ bootstrap, proxy }, null, 2)}\n`;
  try {
    await writeFile(file, text, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (proxy === undefined) return;
    // Who believes that it is remembered would go out without it the next time.
    output.note(`${file} is there already and was not changed: write "proxy" into it yourself`);
  }
}
