import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The fenced blocks of one language in a page. */
function blocks(page: string, language: string): string[] {
  const fence = new RegExp('^```' + language + '\\n([\\s\\S]*?)^```$', 'gm');
  return [...page.matchAll(fence)].map((match) => match[1]!);
}

it('prints what the tutorial on plugins says that it prints', async () => {
  const page = await readFile(join(root, 'docs/plugins.md'), 'utf8');
  const code = blocks(page, 'js');
  expect(code).toHaveLength(2);
  const directory = await mkdtemp(join(tmpdir(), 'granary-tutorial-'));
  try {
    await symlink(join(root, 'node_modules'), join(directory, 'node_modules'));
    const file = join(directory, 'tutorial.mjs');
    await writeFile(file, code.join('\n'));
    const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 60_000 });
    expect(stdout).toBe(blocks(page, 'text')[0]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
