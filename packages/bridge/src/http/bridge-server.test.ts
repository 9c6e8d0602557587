import { connect } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import { expect, it } from 'vitest';
import { type Logger, systemClock, systemRandom } from '@granary/kad';
import { TestBridge } from '../s3/bridge.test-support.js';
import { BridgeMetrics } from './bridge-metrics.js';
import { createSelfSigned, isStillGood } from './self-signed-certificate.js';

it('requests are counted and logged, and nothing that is secret with them', async () => {
  const lines: string[] = [];
  const log = (fields: object, message: string) =>
    void lines.push(JSON.stringify({ ...fields, message }));
  const logger: Logger = { trace: log, debug: log, info: log, warn: log, error: log };
  const metrics = await BridgeMetrics.create();
  const told: string[] = [];
  const onRequest = ({ operation, status }: { operation: string; status: number }) =>
    void told.push(`${operation} ${status}`);
  const bridge = await TestBridge.start({ metrics, logger, onRequest });
  try {
    await bridge.raw({ method: 'PUT', target: '/counted' });
    await bridge.raw({ method: 'PUT', target: '/counted/key', body: 'x'.repeat(5000) });
    const got = await bridge.raw({ target: '/counted/key' });
    await bridge.raw({ target: '/counted/none?X-Amz-Signature=secret-signature', as: null });
    await bridge.raw({ target: '/counted/none' });
    // The log of a request is written when its answer has been sent.
    for (let i = 0; i < 100 && lines.filter((l) => l.includes('"request"')).length < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(told.sort()).toEqual([
      'CreateBucket 200',
      'GetObject 200',
      'GetObject 400',
      'GetObject 404',
      'PutObject 200',
    ]);
    const text = await metrics.registry.metrics();
    expect(text).toContain('bridge_requests_total{operation="PutObject",status="200"} 1');
    expect(text).toContain('bridge_requests_total{operation="GetObject",status="404"} 1');
    expect(text).toContain('bridge_errors_total{code="NoSuchKey"} 1');
    expect(text).toContain('bridge_received_bytes_total 5000');
    expect(text).toMatch(/bridge_connections \d/);
    const requests = lines.filter((line) => line.includes('"message":"request"'));
    expect(requests).toHaveLength(5);
    const read = requests
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .find(({ operation, status }) => operation === 'GetObject' && status === 200);
    expect(read).toMatchObject({ bucket: 'counted', key: 'key', user: 'owner', sent: 5000 });
    expect(read!['requestId']).toBe(got.headers['x-amz-request-id']);
    const all = lines.join();
    expect(all).not.toContain('secret-signature');
    expect(all).not.toContain(bridge.owner.credentials.secretAccessKey);
  } finally {
    await bridge.stop();
  }
});

it('connections are kept, and closed when what came was not wanted', async () => {
  const bridge = await TestBridge.start({ serverLimits: { drain: { bytes: 1000, ms: 200 } } });
  try {
    const head = `Host: 127.0.0.1:${bridge.port}\r\n`;
    const twice = await bridge.bytes(
      `GET /health HTTP/1.1\r\n${head}\r\nGET /health HTTP/1.1\r\n${head}Connection: close\r\n\r\n`,
    );
    expect(twice.match(/HTTP\/1.1 200/g)).toHaveLength(2);
    const refused = await bridge.bytes(
      `PUT /none/key HTTP/1.1\r\n${head}Content-Length: 1000000\r\n\r\nabc`,
    );
    expect(refused).toMatch(/^HTTP\/1.1 404/);
    expect(refused).toMatch(/connection: close/i);
    // Who waits to be asked is not asked for what is refused.
    const waiting = await bridge.bytes(
      `PUT /none/key HTTP/1.1\r\n${head}Content-Length: 10\r\nExpect: 100-continue\r\n\r\n`,
    );
    expect(waiting).toMatch(/^HTTP\/1.1 404/);
    expect(waiting).not.toContain('100 Continue');
    const expectation = await bridge.bytes(
      `PUT /none/key HTTP/1.1\r\n${head}Content-Length: 10\r\nExpect: wonders\r\nConnection: close\r\n\r\n`,
    );
    expect(expectation).toMatch(/^HTTP\/1.1 417/);
  } finally {
    await bridge.stop();
  }
});

it('HTTPS goes on with another certificate, and connections that are open stay', async () => {
  const make = () => createSelfSigned(['localhost', '127.0.0.1'], systemClock, systemRandom);
  const [first, second] = [await make(), await make()];
  const bridge = await TestBridge.start({ tls: first });
  /** A connection to the bridge, verified against one certificate only. */
  const open = (ca: string) =>
    new Promise<{ ask(): Promise<string>; end(): void }>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: bridge.port, ca }, () =>
        resolve({
          ask: () =>
            new Promise((answer, failed) => {
              socket.once('data', (data) => answer(data.toString()));
              socket.once('error', failed);
              socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
            }),
          end: () => void socket.destroy(),
        }),
      );
      socket.once('error', reject);
    });
  try {
    expect(bridge.bridge.url).toMatch(/^https:/);
    const old = await open(first.cert);
    expect(await old.ask()).toMatch(/^HTTP\/1.1 200/);
    await expect(open(second.cert)).rejects.toThrow(/self-signed/);
    // A key of another certificate, in the middle of a change: nothing changes.
    expect(() => bridge.bridge.useCertificate({ key: first.key, cert: second.cert })).toThrow();
    (await open(first.cert)).end();
    bridge.bridge.useCertificate(second);
    await expect(open(first.cert)).rejects.toThrow(/self-signed/);
    const fresh = await open(second.cert);
    expect(await fresh.ask()).toMatch(/^HTTP\/1.1 200/);
    expect(await old.ask()).toMatch(/^HTTP\/1.1 200/);
    old.end();
    fresh.end();
  } finally {
    await bridge.stop();
  }
});

it('a certificate of one’s own is replaced when it ends soon, or names are missing', async () => {
  const { cert } = await createSelfSigned(['*.s3.test', '::1'], systemClock, systemRandom);
  expect(new X509Certificate(cert).ca).toBe(false);
  expect(isStillGood(cert, ['*.s3.test', '::1'], systemClock)).toBe(true);
  expect(isStillGood(cert, ['bucket.s3.test'], systemClock)).toBe(true);
  expect(isStillGood(cert, ['s3.test'], systemClock)).toBe(false);
  expect(isStillGood(cert, ['127.0.0.1'], systemClock)).toBe(false);
  expect(isStillGood('', [], systemClock)).toBe(false);
  const later = { ...systemClock, now: () => Date.now() + 380 * 24 * 3600 * 1000 };
  expect(isStillGood(cert, ['::1'], later)).toBe(false);
});
