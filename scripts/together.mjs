// Run npm scripts beside each other: `node scripts/together.mjs build lint`. What each says is shown when it has
// ended, so that nothing is mixed up; all of them end, and if one failed, so does this.
import { spawn } from 'node:child_process';

async function run(script) {
  const child = spawn('npm', ['run', '--silent', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => said.push(data));
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (ended) => resolve(ended));
  });
  console.log(`${code === 0 ? '✓' : '✗'} npm run ${script}`);
  process.stdout.write(Buffer.concat(said));
  return code === 0 ? [] : [script];
}

const failed = (await Promise.all(process.argv.slice(2).map(run))).flat();
if (failed.length > 0) {
  console.error(`failed: ${failed.map((script) => `npm run ${script}`).join(', ')}`);
  process.exit(1);
}
