import { expect, it } from 'vitest';
import type { Logger } from '@granary/kad';
import { TestBridge } from '../s3/bridge.test-support.js';
import { BridgeMetrics } from './bridge-metrics.js';

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
