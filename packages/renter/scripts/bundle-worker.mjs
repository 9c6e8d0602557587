// Puts the thread for segments and what it needs into one file, `dist/bundled-segment-worker.js`: by its modules it would
// load all of @granary/kad and @granary/protocol, which takes several times as long as to start. See docs/decisions/0033.
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const worker = `${dist}segment-worker.js`;
const build = await rolldown({
  input: worker,
  platform: 'node',
  // Nothing is needed but what is our own.
  external: (id) => !/^(?:[.#/]|@granary\/)/.test(id),
  // Modules of which nothing is used are left out, whatever they would do.
  treeshake: { moduleSideEffects: (id) => id === worker },
});
const output = {
  file: `${dist}bundled-segment-worker.js`,
  format: 'esm',
  sourcemap: true,
  sourcemapExcludeSources: true,
};
const { code } = (await build.generate(output)).output[0];
const foreign = [...code.matchAll(/^import .*"(?!node:)(.*)";$/gm)].map(([, name]) => name);
if (foreign.length > 0) throw new Error(`the thread for segments needs ${foreign.join(', ')}`);
await build.write(output);
await build.close();
