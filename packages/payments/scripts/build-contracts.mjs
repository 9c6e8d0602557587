// Compiles contracts/ with solc (JavaScript, no download) and writes the ABIs and the bytecode as
// TypeScript modules. Nothing is done when neither the sources nor the compiler have changed.
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('..', import.meta.url));
const names = ['GranaryChannels.sol', 'test/TestToken.sol', 'test/Hostile.sol'];
const sources = Object.fromEntries(
  await Promise.all(
    names.map(async (name) => [
      name,
      { content: await readFile(`${root}/contracts/${name}`, 'utf8') },
    ]),
  ),
);
const settings = {
  evmVersion: 'cancun',
  optimizer: { enabled: true, runs: 1_000_000 },
  metadata: { bytecodeHash: 'none' },
  outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
};
const { version } = require('solc/package.json');
const self = await readFile(fileURLToPath(import.meta.url), 'utf8');
const mark = createHash('sha256')
  .update(JSON.stringify({ sources, settings, version, self }))
  .digest('hex');
const target = `${root}/src/generated/contracts.ts`;
const head = `// Made by scripts/build-contracts.mjs from contracts/. Do not edit. ${mark}\n`;
const old = await readFile(target, 'utf8').catch(() => '');
if (old.startsWith(head)) process.exit(0);

const solc = require('solc');
const output = JSON.parse(
  solc.compile(JSON.stringify({ language: 'Solidity', sources, settings })),
);
const problems = output.errors ?? [];
for (const { formattedMessage } of problems) console.error(formattedMessage);
if (problems.length > 0) throw new Error('the contracts do not compile without a warning');
const moduleOf = (entries) =>
  entries
    .map(([name, exported]) => {
      const file = names.find((path) => path.endsWith(`${name}.sol`));
      const { abi, evm } = output.contracts[file][name];
      console.log(`${name}: ${evm.bytecode.object.length / 2} bytes`);
      const contract = JSON.stringify({ abi, bytecode: `0x${evm.bytecode.object}` });
      return `export const ${exported} = ${contract} as const;\n`;
    })
    .join('');
await mkdir(`${root}/src/generated`, { recursive: true });
await writeFile(
  `${root}/src/generated/contracts.test-support.ts`,
  head +
    moduleOf([
      ['TestToken', 'testToken'],
      ['Hostile', 'hostile'],
    ]),
);
await writeFile(target, head + moduleOf([['GranaryChannels', 'granaryChannels']]));
