// What `npm start` runs: a network of real processes stores a real file, loses as many farmers as it
// can bear, and reads the file back. With --keep the network goes on for you to play with.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const GRANARY = new URL('../packages/cli/bin/granary.mjs', import.meta.url).pathname;
const keep = process.argv.includes('--keep');
const FARMERS = 12;
const SCHEME = '4/6/10/12';
const source = process.execPath;

const work = await mkdtemp(join(tmpdir(), 'granary-demo-'));
const children = new Set();
let home;

const say = (text = '') => console.log(text);
const step = (text) => say(`\n== ${text}`);
const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`;

function start(args, options = {}) {
  const child = spawn(process.execPath, [GRANARY, ...args], {
    stdio: ['inherit', 'pipe', 'inherit'],
    env: { ...process.env, ...(home === undefined ? {} : { GRANARY_HOME: home }) },
    ...options,
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** Run a command as a user would, showing it and what it prints. */
async function run(...args) {
  say(`$ granary ${args.join(' ')}`);
  const child = start(args, { stdio: ['inherit', 'inherit', 'inherit'] });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  if (code !== 0) throw new Error(`granary ${args[0]} ended with code ${code}`);
}

async function json(...args) {
  const child = start([...args, '--json']);
  let text = '';
  child.stdout.on('data', (data) => (text += data));
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`granary ${args[0]} ended with code ${code}`);
  return JSON.parse(text);
}

/** Start an S3 endpoint on the renter's home. */
async function startBridge() {
  const child = start(['bridge', '--listen', '127.0.0.1:0', '--json', '--log-level', 'error']);
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the bridge ended with code ${code}`)));
    createInterface({ input: child.stdout }).once('line', (line) => resolve(JSON.parse(line)));
  });
}

async function hash(path) {
  const sha = createHash('sha256');
  for await (const part of createReadStream(path)) sha.update(part);
  return sha.digest('hex');
}

async function startNetwork() {
  const child = start(['network', '--farmers', String(FARMERS), '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const ready = await new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the network ended with code ${code}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const event = JSON.parse(line);
      if (event.event === 'ready') resolve(event);
      else
        say(
          `   farmer ${event.nodeId.slice(0, 12)} (pid ${event.pid}) is gone: ${event.signal ?? event.code}`,
        );
    });
  });
  return { child, ready };
}

/** Start a killed farmer again, on its directory and port. */
async function restartFarmer(nodeId, bootstrap) {
  const { directory, address } = network.ready.farmers.find((farmer) => farmer.nodeId === nodeId);
  const child = start(
    [
      ...['farm', '--json', '--with-parent', '--data', directory, '--log-level', 'error'],
      ...['--port', new URL(address).port, '--bootstrap', bootstrap],
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  await new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`a farmer ended with code ${code}`)));
    createInterface({ input: child.stdout }).once('line', resolve);
  });
  say(`   farmer ${nodeId.slice(0, 12)} is back (pid ${child.pid})`);
}

let network;
const stopAll = async () => {
  for (const child of children) child.kill('SIGTERM');
  await Promise.all(
    [...children].map((child) => new Promise((resolve) => child.once('exit', resolve))),
  );
  await rm(work, { recursive: true, force: true });
};
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => void stopAll().then(() => process.exit(130)));
}

try {
  let begun = Date.now();
  step(`Starting ${FARMERS} farmers, each a process of its own`);
  network = await startNetwork();
  const { ready } = network;
  home = ready.home;
  for (const { nodeId, address, pid } of ready.farmers) {
    say(`   farmer ${nodeId.slice(0, 12)}  ${address}  pid ${pid}`);
  }
  say(`   up after ${seconds(begun)}`);

  const { size } = await stat(source);
  const before = await hash(source);
  step(
    `Storing ${source} (${(size / 1e6).toFixed(1)} MB) as 12 shards a segment, any 4 of which restore it`,
  );
  await run('put', source, 'demo/node', '--scheme', SCHEME);

  step('Where its shards are');
  const found = await json('stat', 'demo/node');
  for (const { nodeId, shards } of found.farmers) {
    const pid = ready.farmers.find((farmer) => farmer.nodeId === nodeId).pid;
    say(`   farmer ${nodeId.slice(0, 12)}  pid ${pid}  ${shards} shards`);
  }
  const whole = found.farmers.filter(({ shards }) => shards === found.segments);
  const { k } = found.scheme;
  if (whole.length < k) throw new Error('no k farmers hold all segments: run the demo again');
  const spared = new Set(whole.slice(0, k).map(({ nodeId }) => nodeId));
  const victims = found.farmers.filter(({ nodeId }) => !spared.has(nodeId));

  step(
    `Killing ${victims.length} of ${found.farmers.length} farmers with SIGKILL: exactly ${k} shards of each segment are left`,
  );
  for (const { nodeId } of victims) {
    process.kill(ready.farmers.find((farmer) => farmer.nodeId === nodeId).pid, 'SIGKILL');
  }
  await new Promise((resolve) => setTimeout(resolve, 500));

  step(`Reading the file back from the ${k} that are left`);
  begun = Date.now();
  const copy = join(work, 'node');
  await run('get', 'demo/node', copy);
  const after = await hash(copy);
  say(`   SHA-256 before  ${before}`);
  say(`   SHA-256 after   ${after}`);
  if (before !== after) throw new Error('THE FILES DIFFER');
  say(
    `\nThe same, byte for byte, after losing ${victims.length} of ${found.farmers.length} farmers.`,
  );

  if (keep) {
    step('Starting the killed farmers again: the network is yours to play with');
    const [alive] = found.farmers.filter(({ nodeId }) => spared.has(nodeId));
    await Promise.all(victims.map(({ nodeId }) => restartFarmer(nodeId, alive.address)));
    step('Starting an S3 endpoint');
    const { url, region, accessKeyId, secretAccessKey, dashboard } = await startBridge();
    say(`   ${url}`);
    say(`
In another terminal, in this directory:

  export GRANARY_HOME=${home}
  npx granary ls demo                # what the demo stored
  npx granary put README.md          # store a file of your own
  npx granary stat README.md         # see which farmers hold its shards
  npx granary get README.md copy.md  # read it back
  npx granary status                 # the farmers that answer
  npx granary --help                 # everything else

See it in a browser (docs/dashboard.md):

  ${ready.dashboard}
  ${dashboard}

Or by S3, with whatever speaks it:

  export AWS_ACCESS_KEY_ID=${accessKeyId}
  export AWS_SECRET_ACCESS_KEY=${secretAccessKey}
  export AWS_DEFAULT_REGION=${region}
  aws --endpoint-url ${url} s3 mb s3://first
  aws --endpoint-url ${url} s3 cp README.md s3://first/
  rclone ls ":s3,provider=Other,env_auth,endpoint='${url}':first"
  RESTIC_PASSWORD=demo restic -r s3:${url}/backups init

Ctrl-C stops everything and removes it.`);
    await new Promise(() => setInterval(() => undefined, 60_000));
  } else {
    say('To play with a network of your own: npm start -- --keep');
  }
} catch (error) {
  console.error(`\ndemo: ${error.message}`);
  process.exitCode = 1;
} finally {
  await stopAll();
}
