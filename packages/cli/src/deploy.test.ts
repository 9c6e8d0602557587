import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createProgram } from './program.js';

const ROOT = new URL('../../..', import.meta.url).pathname;
const UNITS = ['granary-bridge', 'granary-farmer'].map((name) => `deploy/systemd/${name}.service`);
const FILES = [...UNITS, 'deploy/compose.yaml', 'Dockerfile', 'docs/deployment.md'];
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

const COMMANDS = ['bridge', 'farm', 'init', 'repair'];

/** Every place where a file runs a command of ours, or says options for one: the command, and its options. */
function runs(text: string): { command: string; options: string[] }[] {
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .flatMap((line) => {
      const quoted = /_OPTIONS=(["'])(.*?)\1/.exec(line)?.[2];
      const rest =
        quoted ?? line.split(/granary\.mjs |command: |CMD \[|_OPTIONS=|--rm bridge /).slice(1)[0];
      const words = (rest ?? '').split('#')[0]!.split(/[\s"',[\]]+/);
      const command = words.find((word) => word !== '') ?? '';
      const options = words.filter((word) => /^--[a-z]/.test(word));
      return [{ command: COMMANDS.includes(command) ? command : '', options }];
    });
}

/** Options by command. */
function known(): Map<string, Set<string>> {
  const program = createProgram('0', new AbortController().signal, false);
  return new Map(
    program.commands.map((command) => [
      command.name(),
      new Set(
        [command, ...command.commands].flatMap(({ options }) => options.map(({ long }) => long!)),
      ),
    ]),
  );
}

describe('what is there to deploy', () => {
  it.each(FILES)('%s names commands and options that there are', (file) => {
    const commands = known();
    const any = new Set([...commands.values()].flatMap((options) => [...options]));
    const all = runs(read(file)).filter(({ command, options }) => command || options.length > 0);
    expect(all.length).toBeGreaterThan(0);
    for (const { command, options } of all) {
      const there = command === '' ? any : commands.get(command);
      for (const option of options)
        expect([file, command, option, there?.has(option)]).toContain(true);
    }
    expect(any.has('--no-such-option')).toBe(false);
  });

  it.each(FILES)('%s names variables that are read', (file) => {
    const source = ['', 'commands']
      .flatMap((directory) => {
        const path = join(ROOT, 'packages/cli/src', directory);
        return readdirSync(path).map((name) => join(path, name));
      })
      .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
      .map((path) => readFileSync(path, 'utf8'))
      .join('\n');
    for (const [name] of read(file).matchAll(/GRANARY_[A-Z_]*[A-Z]/g)) {
      // These two are put together by the units and the compose file.
      if (/^GRANARY_(BRIDGE|FARMER)_OPTIONS$/.test(name)) continue;
      expect([file, name, source.includes(`'${name}'`)]).toContain(true);
    }
  });

  it('the bridge has longer to stop than its requests have to end', () => {
    const unit = read(UNITS[0]!);
    const seconds = (pattern: RegExp) => Number(pattern.exec(unit)![1]);
    expect(seconds(/TimeoutStopSec=(\d+)/)).toBeGreaterThan(seconds(/--grace (\d+)s/));
  });

  // In CI there is systemd.
  it.skipIf(!existsSync('/usr/bin/systemd-analyze'))('systemd takes the units', () => {
    const verify = (files: string[]) =>
      execFileSync('/usr/bin/systemd-analyze', ['verify', ...files], { cwd: ROOT, stdio: 'pipe' });
    expect(verify(UNITS).toString()).toBe('');
  });
});
