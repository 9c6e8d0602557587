import { X509Certificate, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PeerCertificate, connect } from 'node:tls';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketTaggingCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutBucketTaggingCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { Client as MinioClient } from 'minio';
import sql, { type Sql } from 'sql-template-tag';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { CONTENT_BUCKET, JOURNAL_BUCKET, openDatabase } from '@granary/bridge';
import { answerOf, createBridgeClient } from '@granary/bridge/client';
import { silentLogger, systemClock, systemRandom } from '@granary/kad';
import { Pebble, freePort, noPebble } from '../../packages/cli/src/acme/pebble.test-support.js';
import { startPostgres } from '../../packages/bridge/src/sql/postgres-server.test-support.js';
import { isRetry } from './support/anew.js';
import {
  type BridgeKey,
  type BridgeProcess,
  client,
  hasProgram,
  startBridge,
  stopBridge,
} from './support/bridge.js';
import { TestNetwork, granary, granaryJson, kill, until } from './support/granary.js';

const MIB = 1024 * 1024;
let network: TestNetwork;
let bridge: BridgeProcess;
let key: BridgeKey;
let directory: string;
let killing = true;
let killed = 0;
let chaos: Promise<void>;

beforeAll(async () => {
  network = await TestNetwork.start(7);
  await writeFile(
    join(network.home, 'config.json'),
    JSON.stringify({
      bootstrap: network.farmers.slice(0, 3).map(({ address }) => address),
      scheme: '2/3/4/5',
    }),
  );
  directory = await mkdtemp(join(tmpdir(), 'granary-bridge-'));
  bridge = await startBridge(network.home, ['--listen', '127.0.0.1:0']);
  key = bridge.key!;
  chaos = killFarmers();
  chaos.catch(() => undefined); // Who waits for it is told.
});
afterAll(async () => {
  killing = false;
  await chaos;
  if (bridge !== undefined) await stopBridge(bridge, 'SIGKILL');
  await network?.stop();
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
});
beforeEach(async ({ task }) => {
  if (!isRetry(task)) return;
  // The first try may have left another bridge, or none.
  await stopBridge(bridge, 'SIGKILL');
  bridge = await startBridge(network.home, ['--listen', '127.0.0.1:0', '--app', '127.0.0.1:0']);
});

/** A name that no try before this one has used, for a bucket or a user. */
const fresh = (name: string) => `${name}-${randomBytes(4).toString('hex')}`;
/** A folder that no try before this one has used. */
const freshFolder = (name: string) => mkdtemp(join(directory, `${name}-`));

/** One farmer after another is killed, and comes back a little later. */
async function killFarmers(): Promise<void> {
  for (let i = 0; killing; i = (i + 1) % network.farmers.length) {
    const farmer = network.farmers[i]!;
    await kill(farmer, 'SIGKILL');
    killed += 1;
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await network.restart(farmer);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

function sdk(): S3Client {
  return new S3Client({
    endpoint: bridge.url,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: key,
  });
}

/** The certificate that a server shows, whoever trusts it. */
function shownCertificate(url: string): Promise<PeerCertificate> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: hostname, port: Number(port), rejectUnauthorized: false },
      () => {
        resolve(socket.getPeerCertificate());
        socket.destroy();
      },
    );
    socket.once('error', reject);
  });
}

async function read(s3: S3Client, Bucket: string, Key: string, Range?: string): Promise<Buffer> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, Range }));
  return Buffer.from(await Body!.transformToByteArray());
}

describe('while farmers are being killed', () => {
  it('the AWS SDK for JavaScript does its round', async () => {
    const s3 = sdk();
    const Bucket = 'sdk';
    await s3.send(new CreateBucketCommand({ Bucket })).catch((error: Error) => {
      if (error.name !== 'BucketAlreadyOwnedByYou') throw error; // A first try has made it.
    });
    const [small, middle, large] = [randomBytes(4096), randomBytes(MIB), randomBytes(11 * MIB)];
    await s3.send(new PutObjectCommand({ Bucket, Key: 'small', Body: small }));
    await s3.send(
      new PutObjectCommand({ Bucket, Key: 'middle', Body: middle, ChecksumAlgorithm: 'CRC64NVME' }),
    );
    await new Upload({
      client: s3,
      params: { Bucket, Key: 'large', Body: large },
      partSize: 5 * MIB,
      queueSize: 2,
    }).done();
    expect((await read(s3, Bucket, 'small')).equals(small)).toBe(true);
    expect((await read(s3, Bucket, 'middle')).equals(middle)).toBe(true);
    expect((await read(s3, Bucket, 'large')).equals(large)).toBe(true);
    const range = await read(s3, Bucket, 'large', `bytes=${5 * MIB - 10}-${5 * MIB + 9}`);
    expect(range.equals(large.subarray(5 * MIB - 10, 5 * MIB + 10))).toBe(true);
    await s3.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/middle` }));
    const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: 'copy' }));
    expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(middle)).toBe(true);
    const sealed = { SSECustomerAlgorithm: 'AES256', SSECustomerKey: randomBytes(32) as never };
    const inParts = { Bucket, Key: 'sealed', Body: large, ...sealed };
    await new Upload({ client: s3, params: inParts, partSize: 5 * MIB, queueSize: 2 }).done();
    await expect(read(s3, Bucket, 'sealed')).rejects.toThrow(/Server Side Encryption/);
    const opened = await s3.send(new GetObjectCommand({ Bucket, Key: 'sealed', ...sealed }));
    expect(large.equals(await opened.Body!.transformToByteArray())).toBe(true);
    const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket }));
    expect(Contents!.map(({ Key, Size }) => [Key, Size])).toEqual([
      ['copy', MIB],
      ['large', 11 * MIB],
      ['middle', MIB],
      ['sealed', 11 * MIB],
      ['small', 4096],
    ]);
    s3.destroy();
  });

  it('the minio client does', async () => {
    const { hostname, port } = new URL(bridge.url);
    const minio = new MinioClient({
      endPoint: hostname,
      port: Number(port),
      useSSL: false,
      accessKey: key.accessKeyId,
      secretKey: key.secretAccessKey,
    });
    const bytes = randomBytes(MIB);
    const bucket = fresh('minio');
    await minio.makeBucket(bucket);
    await minio.putObject(bucket, 'a/b', bytes);
    const parts: Buffer[] = [];
    for await (const part of await minio.getObject(bucket, 'a/b')) parts.push(part as Buffer);
    expect(Buffer.concat(parts).equals(bytes)).toBe(true);
    await minio.removeObject(bucket, 'a/b');
    await minio.removeBucket(bucket);
  });

  it.skipIf(!hasProgram('/usr/bin/rclone'))('rclone does', async () => {
    const remote = `:s3,provider=Other,env_auth,endpoint='${bridge.url}':${fresh('rclone')}`;
    const rclone = (...args: string[]) =>
      client(key, 'rclone', args, { RCLONE_CONFIG: join(directory, 'none.conf') });
    const source = await freshFolder('rclone');
    await mkdir(join(source, 'ünder scores/deep'), { recursive: true });
    for (let i = 0; i < 20; i++) {
      await writeFile(join(source, `ünder scores/deep/file ${i}+%`), randomBytes(i * 3000));
    }
    await writeFile(join(source, 'large'), randomBytes(6 * MIB));
    await rclone('mkdir', remote);
    await rclone('sync', source, remote, '--s3-upload-cutoff=5M', '--s3-chunk-size=5M');
    await rclone('check', source, remote, '--download');
    await rm(join(source, 'large'));
    await rclone('sync', source, remote);
    expect((await rclone('lsf', '-R', remote)).trim().split('\n')).toHaveLength(22);
    await rclone('purge', remote);
  });

  it.skipIf(!hasProgram('/usr/bin/restic'))(
    'restic backs up, checks, prunes and restores',
    async () => {
      const repository = `s3:${bridge.url}/${fresh('restic')}`;
      const restic = (...args: string[]) =>
        client(key, 'restic', ['-r', repository, ...args], {
          RESTIC_PASSWORD: 'password',
          RESTIC_CACHE_DIR: join(directory, 'restic-cache'),
        });
      const source = await freshFolder('restic');
      await writeFile(join(source, 'file'), randomBytes(5 * MIB));
      await restic('init');
      await restic('backup', source);
      const second = randomBytes(3 * MIB);
      await writeFile(join(source, 'file'), second);
      await restic('backup', source);
      await restic('forget', '--keep-last', '1', '--prune');
      expect(await restic('check', '--read-data')).toContain('no errors were found');
      const target = await freshFolder('restored');
      await restic('restore', 'latest', '--target', target);
      expect((await readFile(join(target, source, 'file'))).equals(second)).toBe(true);
    },
  );

  it.skipIf(!hasProgram('/usr/bin/s3cmd'))('s3cmd does', async () => {
    const { host } = new URL(bridge.url);
    const s3cmd = (...args: string[]) =>
      client(key, 's3cmd', [
        ...['-c', '/dev/null', '--no-ssl', `--host=${host}`, `--host-bucket=${host}`],
        ...[`--access_key=${key.accessKeyId}`, `--secret_key=${key.secretAccessKey}`],
        ...['--region=us-east-1', '--no-progress', ...args],
      ]);
    const file = join(directory, 's3cmd');
    const bytes = randomBytes(6 * MIB);
    await writeFile(file, bytes);
    const bucket = `s3://${fresh('s3cmd')}`;
    await s3cmd('mb', bucket);
    await s3cmd('put', file, `${bucket}/a b/ü`, '--multipart-chunk-size-mb=5');
    expect(await s3cmd('ls', '-r', bucket)).toContain(`${bucket}/a b/ü`);
    await s3cmd('get', '--force', `${bucket}/a b/ü`, `${file}.out`);
    expect((await readFile(`${file}.out`)).equals(bytes)).toBe(true);
    await s3cmd('rb', '-r', '--force', bucket);
  });

  it.skipIf(!hasProgram('/usr/bin/aws'))('the AWS command line does', async () => {
    const aws = (...args: string[]) =>
      client(key, '/usr/bin/aws', ['--endpoint-url', bridge.url, 's3', ...args, '--no-progress']);
    const file = join(directory, 'aws');
    const bytes = randomBytes(9 * MIB);
    await writeFile(file, bytes);
    const bucket = `s3://${fresh('awscli')}`;
    await client(key, '/usr/bin/aws', ['--endpoint-url', bridge.url, 's3', 'mb', bucket]);
    await aws('cp', file, `${bucket}/dir/file`);
    await aws('cp', `${bucket}/dir/file`, `${file}.out`);
    expect((await readFile(`${file}.out`)).equals(bytes)).toBe(true);
    const secret = join(directory, 'aws-key');
    await writeFile(secret, randomBytes(32));
    const sealed = ['--sse-c', 'AES256', '--sse-c-key', `fileb://${secret}`];
    await aws('cp', file, `${bucket}/sealed`, ...sealed);
    await aws('cp', `${bucket}/sealed`, `${file}.opened`, ...sealed);
    expect((await readFile(`${file}.opened`)).equals(bytes)).toBe(true);
    await expect(aws('cp', `${bucket}/sealed`, `${file}.none`)).rejects.toThrow();
    await client(key, '/usr/bin/aws', [
      ...['--endpoint-url', bridge.url, 's3', 'rb', '--force', bucket],
    ]);
  });

  it('farmers were killed all the while', async () => {
    await until('some more are killed', () => killed > 3);
  });
});

describe('then', () => {
  it('a bridge that is told to stop lets uploads end, and then ends', async () => {
    killing = false;
    await chaos;
    const s3 = sdk();
    const url = await getSignedUrl(s3, new PutObjectCommand({ Bucket: 'sdk', Key: 'last' }));
    const headers = { 'content-length': '200000', expect: '100-continue' };
    const upload = request(url, { method: 'PUT', headers });
    const status = new Promise<number | undefined>((resolve, reject) => {
      upload.once('response', (answer) => resolve(answer.resume().statusCode));
      upload.once('error', reject);
    });
    // It has the upload when it says that it may go on.
    const begun = once(upload, 'continue');
    upload.flushHeaders();
    await begun;
    upload.write(Buffer.alloc(100_000, 1));
    const ended = stopBridge(bridge);
    await until('it takes no more requests', () =>
      fetch(`${bridge.url}/health`).then(
        () => false,
        () => true,
      ),
    );
    expect(bridge.child.exitCode).toBe(null);
    upload.end(Buffer.alloc(100_000, 2));
    expect(await status).toBe(200);
    expect(await ended).toBe(0);
    s3.destroy();
  });

  it('everything is there after a start, and after SIGKILL and another', async () => {
    await stopBridge(bridge, 'SIGKILL'); // It runs when this is tried again.
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      bridge = await startBridge(network.home, ['--listen', '127.0.0.1:0']);
      // Told once.
      expect(bridge.key).toBeUndefined();
      const s3 = sdk();
      const last = await read(s3, 'sdk', 'last');
      expect(last.equals(Buffer.concat([Buffer.alloc(100_000, 1), Buffer.alloc(100_000, 2)]))).toBe(
        true,
      );
      expect((await read(s3, 'sdk', 'large')).length).toBe(11 * MIB);
      await s3.send(
        new PutObjectCommand({ Bucket: 'sdk', Key: signal, Body: randomBytes(100_000) }),
      );
      s3.destroy();
      await stopBridge(bridge, signal);
    }
    bridge = await startBridge(network.home, ['--listen', '127.0.0.1:0', '--app', '127.0.0.1:0']);
    const s3 = sdk();
    expect((await read(s3, 'sdk', 'SIGKILL')).length).toBe(100_000);
    s3.destroy();
  });

  it('it serves the web app, and the page of share links, at a port of their own', async () => {
    const served = (path: string) => fetch(new URL(path, bridge.app));
    for (const page of ['/', '/share.html']) {
      const response = await served(page);
      expect([page, response.status]).toEqual([page, 200]);
      expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(await response.text()).toContain('<script type="module"');
    }
    // No farmer here is one that pages reach.
    expect(await (await served('/network.json')).json()).toMatchObject({ bootstrap: [] });
    expect((await served('/dashboard.html')).status).toBe(404);
  });

  it.skipIf(!hasProgram('/usr/bin/rclone'))(
    'rclone sends keys of its own over TLS, and the certificate changes meanwhile',
    async () => {
      await stopBridge(bridge);
      bridge = await startBridge(network.home, ['--listen', '127.0.0.1:0', '--tls-self-signed']);
      const file = join(network.home, 'bridge', 'tls.pem');
      expect((await stat(file)).mode & 0o077).toBe(0);
      const remote = `:s3,provider=Other,env_auth,endpoint='${bridge.url}':${fresh('secret')}`;
      const rclone = (...args: string[]) =>
        client(key, 'rclone', ['--ca-cert', bridge.certificate!, ...args], {
          RCLONE_CONFIG: join(directory, 'none.conf'),
        });
      const sealed = [
        '--s3-sse-customer-algorithm=AES256',
        `--s3-sse-customer-key-base64=${randomBytes(32).toString('base64')}`,
      ];
      const [source, back] = [await freshFolder('secret'), await freshFolder('back')];
      await writeFile(join(source, 'small'), 'small');
      await writeFile(join(source, 'large'), randomBytes(6 * MIB));
      await rclone('mkdir', remote);
      await rclone(
        ...['copy', source, remote, '--s3-upload-cutoff=5M', '--s3-chunk-size=5M', ...sealed],
      );
      const before = await readFile(bridge.certificate!, 'utf8');
      await rm(file);
      bridge.child.kill('SIGHUP');
      await until('there is another certificate', async () => {
        const { fingerprint256 } = await shownCertificate(bridge.url);
        return fingerprint256 !== new X509Certificate(before).fingerprint256;
      });
      await rclone('copy', remote, back, ...sealed);
      expect(await readFile(join(back, 'small'), 'utf8')).toBe('small');
      await rclone('check', source, remote, '--download', ...sealed);
      await expect(rclone('copy', remote, join(directory, 'none'))).rejects.toThrow();
      await rclone('purge', remote);
      await stopBridge(bridge);
      bridge = await startBridge(network.home, ['--listen', '127.0.0.1:0']);
    },
  );

  it.skipIf(noPebble !== undefined)(
    `it and a farmer get certificates of an authority by themselves ${noPebble ?? ''}`,
    async () => {
      const pebble = await Pebble.start();
      onTestFinished(() => pebble.stop());
      process.env['NODE_EXTRA_CA_CERTS'] = pebble.ca;
      onTestFinished(() => void delete process.env['NODE_EXTRA_CA_CERTS']);
      const from = [
        '--acme-directory',
        pebble.url,
        '--acme-listen',
        `127.0.0.1:${pebble.httpPort}`,
      ];
      const root = await pebble.root();
      /** The names that a server proves to have, to who trusts the authority and nobody else. */
      const provenBy = (port: number, servername: string) =>
        new Promise<string>((resolve, reject) => {
          const socket = connect({ host: '127.0.0.1', port, servername, ca: root }, () => {
            resolve(socket.getPeerCertificate().subjectaltname ?? '');
            socket.destroy();
          });
          socket.on('error', reject);
        });
      await stopBridge(bridge);
      const listen = ['--listen', '127.0.0.1:0'];
      bridge = await startBridge(network.home, [...listen, '--acme', 's3.example.test', ...from]);
      const { port, protocol } = new URL(bridge.url);
      expect(protocol).toBe('https:');
      expect(await provenBy(Number(port), 's3.example.test')).toBe('DNS:s3.example.test');
      const kept = join(network.home, 'bridge', 'acme', 'certificate.pem');
      expect((await stat(kept)).mode & 0o777).toBe(0o600);

      const browserPort = await freePort();
      const options = [
        '--browser-port',
        `${browserPort}`,
        '--webrtc',
        'never',
        '--app',
        '127.0.0.1:0',
      ];
      const farmer = await network.addFarmer([...options, '--acme', 'farm.example.test', ...from]);
      network.farmers.pop();
      onTestFinished(() => kill(farmer));
      expect(farmer.browsers).toEqual([`wss://farm.example.test:${browserPort}`]);
      expect(await provenBy(browserPort, 'farm.example.test')).toBe('DNS:farm.example.test');
      // The app that it serves tells pages to come by it.
      expect((await fetch(new URL('share.html', farmer.app!))).status).toBe(200);
      const told: unknown = await (await fetch(new URL('network.json', farmer.app!))).json();
      expect(told).toMatchObject({ bootstrap: farmer.browsers });
      await stopBridge(bridge);
      bridge = await startBridge(network.home, listen);
    },
  );

  it('keys are made, limited, listed and taken away', async () => {
    const made = await granaryJson<BridgeKey>(
      ['access-keys', 'add', '--user', 'reader', '--rights', 'list,read', '--expires', '1h'],
      network.home,
    );
    const as = new S3Client({
      endpoint: bridge.url,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: made,
    });
    expect((await as.send(new ListBucketsCommand({}))).Buckets ?? []).toEqual([]);
    const listed = await granary(['access-keys', 'list'], { home: network.home });
    expect(listed.stdout.toString()).toMatch(new RegExp(`reader +${made.accessKeyId} +list,read`));
    expect(listed.stdout.toString()).not.toContain(made.secretAccessKey);
    await granary(['access-keys', 'remove', made.accessKeyId], { home: network.home });
    await expect(as.send(new ListBucketsCommand({}))).rejects.toThrow(/does not exist/);
    as.destroy();
    const file = join(network.home, 'bridge', 'bridge.db');
    expect((await stat(file)).mode & 0o077).toBe(0);
    expect((await readFile(file)).includes(key.secretAccessKey)).toBe(false);
  });

  it('the REST API stores, reads and manages, by its client and by the commands', async () => {
    const client = createBridgeClient({ url: bridge.url, credentials: key });
    const bucket = fresh('rest');
    answerOf(await client.POST('/buckets', { body: { name: bucket } }));
    const bytes = randomBytes(MIB);
    const place = { path: { bucket }, query: { key: 'a/../b' } };
    answerOf(await client.PUT('/buckets/{bucket}/object', { params: place, body: bytes }));
    const got = await client.GET('/buckets/{bucket}/object', {
      params: place,
      headers: { range: 'bytes=1000-500999' },
      parseAs: 'arrayBuffer',
    });
    expect(Buffer.from(answerOf(got)).equals(bytes.subarray(1000, 501_000))).toBe(true);
    const s3 = sdk();
    expect((await read(s3, bucket, 'a/../b')).equals(bytes)).toBe(true);
    s3.destroy();
    expect(answerOf(await client.GET('/status'))).toMatchObject({ database: true, network: true });

    // Neither keys nor database are where these are run.
    const env = {
      GRANARY_BRIDGE_URL: bridge.url,
      GRANARY_BRIDGE_KEY: `${key.accessKeyId}:${key.secretAccessKey}`,
    };
    const home = join(directory, 'elsewhere');
    const remote = (extra: object, ...args: string[]) =>
      granary(args, { home, env: { ...env, ...extra } });
    const far = fresh('far');
    const added = await remote({}, 'bridge', 'users', 'add', far, '--quota', '2MB', '--json');
    expect(JSON.parse(added.stdout.toString())).toMatchObject({ quota: { bytes: 2_000_000 } });
    const keys = ['access-keys', 'add', '--user', far, '--rights', 'list', '--json'];
    const limited = JSON.parse((await remote({}, ...keys)).stdout.toString()) as BridgeKey;
    const as = (secret: string) => ({ GRANARY_BRIDGE_KEY: `${limited.accessKeyId}:${secret}` });
    const [shown, refused, wrong, nobody] = await Promise.all([
      remote({}, 'bridge', 'users', 'show', far),
      remote(as(limited.secretAccessKey), 'bridge', 'users', 'list', '--json'),
      remote(as('wrong'), 'access-keys', 'list', '--user', 'me'),
      remote({ GRANARY_BRIDGE_URL: 'http://127.0.0.1:65535' }, 'bridge', 'status'),
    ]);
    expect(shown.stdout.toString()).toMatch(/bytes +0 B of 2.00 MB/);
    expect(JSON.parse(refused.stderr)).toMatchObject({ error: { code: 'Forbidden', exit: 19 } });
    expect([shown.code, refused.code, wrong.code, nobody.code]).toEqual([0, 19, 5, 6]);
  });

  it('two bridges over one PostgreSQL are one, and either is enough', async () => {
    const postgres = await startPostgres();
    const place = await postgres.createDatabase();
    const homes = [await freshFolder('shared-a'), await freshFolder('shared-b')] as const;
    await granary(['init'], { home: homes[0] });
    const config = JSON.stringify({
      bootstrap: network.farmers.slice(0, 3).map(({ address }) => address),
      scheme: '2/3/4/5',
      records: place,
    });
    await copyFile(join(homes[0], 'keys.json'), join(homes[1], 'keys.json'));
    for (const home of homes) await writeFile(join(home, 'config.json'), config);
    const options = ['--listen', '127.0.0.1:0', '--database', place];
    const running: BridgeProcess[] = [];
    try {
      const first = await startBridge(homes[0], options);
      running.push(first);
      const second = await startBridge(homes[1], options);
      running.push(second);
      const [a, b] = [first, second].map(
        ({ url }) =>
          new S3Client({
            endpoint: url,
            region: 'us-east-1',
            forcePathStyle: true,
            credentials: first.key!,
          }),
      ) as [S3Client, S3Client];
      const [small, large] = [randomBytes(100), randomBytes(MIB)];
      await a.send(new CreateBucketCommand({ Bucket: 'shared' }));
      await a.send(new PutObjectCommand({ Bucket: 'shared', Key: 'small', Body: small }));
      await a.send(new PutObjectCommand({ Bucket: 'shared', Key: 'large', Body: large }));
      expect((await read(b, 'shared', 'large')).equals(large)).toBe(true);
      await stopBridge(first, 'SIGKILL');
      expect((await read(b, 'shared', 'small')).equals(small)).toBe(true);
      expect((await read(b, 'shared', 'large')).equals(large)).toBe(true);
      await b.send(new PutObjectCommand({ Bucket: 'shared', Key: 'more', Body: large }));
      expect((await read(b, 'shared', 'more')).equals(large)).toBe(true);
      a.destroy();
      b.destroy();
    } finally {
      for (const one of running) await stopBridge(one, 'SIGKILL');
      await postgres.close();
    }
  });

  it('the 24 words bring back the bridge with all its names, on another machine', async () => {
    killing = false;
    await chaos;
    const [old, found] = [await freshFolder('lost'), await freshFolder('found')];
    const { words } = await granaryJson<{ words: string }>(['init'], old);
    const bootstrap = network.farmers.slice(0, 3).map(({ address }) => address);
    const config = JSON.stringify({ bootstrap, scheme: '2/3/4/5' });
    await writeFile(join(old, 'config.json'), config);
    const options = ['--listen', '127.0.0.1:0', '--journal-interval', '1s', '--pack', '2s'];
    const first = await startBridge(old, options);
    const clientAt = (url: string) =>
      new S3Client({
        endpoint: url,
        region: 'us-east-1',
        forcePathStyle: true,
        credentials: first.key!,
      });
    const before = clientAt(first.url);
    const bodies = new Map<string, Buffer>();
    for (const Bucket of ['names', 'dropped']) {
      await before.send(new CreateBucketCommand({ Bucket }));
    }
    for (let i = 0; i < 20; i += 1) {
      const Key = `ordner ${i % 3}/ü ${i}`;
      bodies.set(Key, randomBytes(i % 7 === 6 ? 300_000 : 10 + i * 100));
      const Body = bodies.get(Key);
      const Metadata = { number: String(i) };
      await before.send(new PutObjectCommand({ Bucket: 'names', Key, Body, Metadata }));
    }
    const large = randomBytes(6 * MIB);
    const params = { Bucket: 'names', Key: 'parts', Body: large };
    await new Upload({ client: before, params, partSize: 5 * MIB }).done();
    bodies.set('parts', large);
    await before.send(new DeleteBucketCommand({ Bucket: 'dropped' }));
    await before.send(
      new PutBucketTaggingCommand({
        Bucket: 'names',
        Tagging: { TagSet: [{ Key: 'kept', Value: 'yes' }] },
      }),
    );
    const parts = { clock: systemClock, random: systemRandom, logger: silentLogger };
    const database = await openDatabase(join(old, 'bridge', 'bridge.db'), parts);
    const isEmpty = (rows: Sql) =>
      database.read(function* () {
        return (yield rows).length === 0;
      });
    const written = () => isEmpty(sql`SELECT id FROM journal LIMIT 1`);
    // All are packed, and the journal knows of it; the last ones are only in the journal.
    await until('small bodies are packed', () => isEmpty(sql`SELECT ref FROM bodies LIMIT 1`));
    await until('the journal is written', written);
    const inJournal = async () => {
      const list = await granary(['ls', JOURNAL_BUCKET, '--json'], { home: old });
      return list.stdout.toString();
    };
    const journal = await inJournal();
    await before.send(new PutObjectCommand({ Bucket: 'names', Key: 'last', Body: 'of all' }));
    bodies.set('last', Buffer.from('of all'));
    await before.send(new DeleteObjectCommand({ Bucket: 'names', Key: 'ordner 0/ü 0' }));
    bodies.delete('ordner 0/ü 0');
    await until('the journal goes on', written);
    expect(await inJournal()).not.toBe(journal);
    before.destroy();
    await stopBridge(first, 'SIGKILL');
    await database.close();
    await rm(old, { recursive: true });

    const recovered = await granaryJson<{ bridge: object }>(
      ['recover', '--words', words, '--bootstrap', bootstrap[0]!],
      found,
    );
    expect(recovered.bridge).toMatchObject({ users: 1, buckets: 1, versions: 21, lost: [] });
    const again = await granary(['bridge', 'recover'], { home: found });
    expect(again.code).toBe(14);
    expect(again.stderr).toMatch(/has users already/);
    await writeFile(join(found, 'config.json'), config);
    let second = await startBridge(found, options);
    expect(second.key).toBeUndefined();
    const check = async (url: string) => {
      const s3 = clientAt(url);
      const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket: 'names' }));
      expect(Contents!.map(({ Key }) => Key)).toEqual([...bodies.keys()].sort());
      for (const [Key, bytes] of bodies) {
        expect((await read(s3, 'names', Key)).equals(bytes), Key).toBe(true);
      }
      const Key = 'ordner 1/ü 1';
      const { Metadata } = await s3.send(new HeadObjectCommand({ Bucket: 'names', Key }));
      expect(Metadata).toEqual({ number: '1' });
      const { TagSet } = await s3.send(new GetBucketTaggingCommand({ Bucket: 'names' }));
      expect(TagSet).toEqual([{ Key: 'kept', Value: 'yes' }]);
      s3.destroy();
    };
    await check(second.url);
    await stopBridge(second);

    // The database alone is lost: a bridge does not begin with an empty one unasked.
    await rm(join(found, 'bridge'), { recursive: true });
    await expect(startBridge(found, options)).rejects.toThrow(/granary bridge recover/);
    const { code, stdout } = await granary(['bridge', 'recover'], { home: found });
    expect([code, stdout.toString()]).toEqual([
      0,
      expect.stringContaining('1 user, 1 bucket, 21 objects'),
    ]);
    second = await startBridge(found, options);
    await check(second.url);
    await stopBridge(second, 'SIGKILL');
  });

  it('what is deleted goes from the farmers, and nothing is left over', async () => {
    const s3 = sdk();
    const { Buckets } = await s3.send(new ListBucketsCommand({}));
    for (const { Name: Bucket } of Buckets!) {
      const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket }));
      const Objects = Contents.map(({ Key }) => ({ Key: Key! }));
      await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
      await s3.send(new DeleteBucketCommand({ Bucket }));
    }
    s3.destroy();
    const contents = async () =>
      (await granary(['ls', CONTENT_BUCKET], { home: network.home })).stdout.toString();
    // A bridge that was killed a moment ago had a minute's lease on the rounds that do it.
    await until('the contents are gone', async () => (await contents()) === '', 240_000);
    await stopBridge(bridge);
    const { code, stderr } = await granary(['gc'], { home: network.home });
    expect([code, stderr]).toEqual([0, '']);
  });
});
