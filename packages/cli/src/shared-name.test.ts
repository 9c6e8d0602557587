import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fileNameOf } from './commands/readable.js';

it('makes a plain name in this folder of whatever a share is called', () => {
  expect(fileNameOf('photo.jpg')).toBe('photo.jpg');
  for (const [name, file] of [
    ['../../etc/passwd', 'passwd'],
    ['a/..', 'shared'],
    ['.bashrc', 'bashrc'],
    ['C:\\windows\\x.txt', 'x.txt'],
    ['\u202egpj.exe', 'gpj.exe'],
    ['\u0000\u001b[2J', '[2J'],
    ['  ..', 'shared'],
    ['é'.repeat(500), 'é'.repeat(100)],
  ] as const) {
    expect(fileNameOf(name)).toBe(file);
  }
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      const file = fileNameOf(name);
      expect(file).not.toBe('');
      expect(file).not.toMatch(/^[.\s]|[/\\\p{Cc}]/u);
    }),
  );
});
