// Compiles assembly/index.ts to WebAssembly and writes it as a TypeScript module, so that it needs
// no fetch and no file at run time, in Node and in bundlers alike.
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = fileURLToPath(new URL('..', import.meta.url));
let binary;
const { error, stderr } = await asc.main(
  [
    'assembly/index.ts',
    '--outFile',
    'reed-solomon.wasm',
    '-O3',
    '--noAssert',
    '--runtime',
    'stub',
    '--enable',
    'simd',
    '--initialMemory',
    '1',
    '--baseDir',
    root,
  ],
  {
    writeFile: (name, contents) => {
      if (name.endsWith('.wasm')) binary = contents;
    },
  },
);
if (error !== null || binary === undefined) {
  console.error(stderr.toString());
  throw error ?? new Error('the compiler wrote nothing');
}
await mkdir(`${root}/src/generated`, { recursive: true });
await writeFile(
  `${root}/src/generated/reed-solomon-wasm.ts`,
  `// Made by scripts/build-wasm.mjs from assembly/index.ts. Do not edit.\n` +
    `export const reedSolomonWasm =\n  '${Buffer.from(binary).toString('base64')}';\n`,
);
console.log(`reed-solomon.wasm: ${binary.length} bytes`);
