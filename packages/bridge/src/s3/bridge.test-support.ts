import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock, systemRandom } from '@granary/kad';
import { Bridge, type BridgeParts } from '../bridge.js';
import { ContentGoneError, type ObjectBackend } from '../contents/object-backend.js';
import type { MetadataStore } from '../metadata/metadata-store.js';
import { openMetadataStore } from '../metadata/open-metadata.js';
import type { KeyScope } from './access/key-scope.js';
import { HeaderList } from './header-list.js';
import { parseTarget } from './request-target.js';
import { formatAmzDate } from './signature/amz-date.js';
import { canonicalRequest, stringToSign } from './signature/canonical-request.js';
import { scopeText, sign, signingKey } from './signature/signing-key.js';

/**
 * A backend in memory, for tests of the protocol: what they are about is between the client and the
 * stores. The end-to-end tests put real farmers behind the same interface.
 */
export class MemoryBackend implements ObjectBackend {
  readonly contents = new Map<string, Buffer>();
  /** Set to have the next calls fail. */
  failure: Error | undefined;

  async put(contentId: string, stream: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    const parts: Uint8Array[] = [];
    for await (const part of stream) {
      signal.throwIfAborted();
      parts.push(Uint8Array.from(part));
    }
    if (this.failure !== undefined) throw this.failure;
    const bytes = Buffer.concat(parts);
    this.contents.set(contentId, bytes);
    return { size: bytes.length };
  }

  async *get(contentId: string, { offset, length }: { offset: number; length: number }) {
    await Promise.resolve();
    if (this.failure !== undefined) throw this.failure;
    const bytes = this.contents.get(contentId);
    if (bytes === undefined) throw new ContentGoneError(contentId);
    for (let at = offset; at < offset + length; at += 65_536) {
      yield bytes.subarray(at, Math.min(at + 65_536, offset + length));
    }
  }

  delete(contentId: string): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    this.contents.delete(contentId);
    return Promise.resolve();
  }

  ready(): Promise<void> {
    return this.failure === undefined ? Promise.resolve() : Promise.reject(this.failure);
  }
}

/** Who signs. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** What a raw request is to be. */
export interface RawCall {
  readonly method?: string;
  /** The request target. */
  readonly target: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
  /** Not signed when null. */
  readonly as?: Credentials | null;
  readonly now?: number;
}

/** What came back. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
  /** The S3 code of an error. */
  readonly code?: string;
}

/** A bridge over SQLite (or the metadata that it is given) and a {@link MemoryBackend}, with a user and its key. */
export class TestBridge {
  private constructor(
    readonly bridge: Bridge,
    readonly metadata: MetadataStore,
    readonly backend: MemoryBackend,
    readonly owner: { readonly id: string; readonly credentials: Credentials },
    private readonly directory: string,
  ) {}

  static async start(parts: Partial<BridgeParts> = {}): Promise<TestBridge> {
    const directory = await mkdtemp(join(tmpdir(), 'granary-bridge-'));
    const metadata =
      parts.metadata ??
      (await openMetadataStore({
        database: join(directory, 'bridge.db'),
        masterKey: randomBytes(32),
      }));
    const backend = new MemoryBackend();
    const bridge = await Bridge.start({
      metadata,
      backend,
      host: '127.0.0.1',
      port: 0,
      region: 'us-east-1',
      inlineBytes: 1000,
      // Tests say when.
      roundMs: 3_600_000,
      logger: silentLogger,
      clock: systemClock,
      random: systemRandom,
      // What it costs otherwise is another test.
      hashCost: { logN: 10, r: 8, p: 1 },
      ...parts,
    });
    const owner = await addUser(metadata, 'owner');
    return new TestBridge(bridge, metadata, backend, owner, directory);
  }

  get port(): number {
    return Number(new URL(this.bridge.url).port);
  }

  /** Another user with a key. */
  user(name: string, scope: KeyScope | null = null) {
    return addUser(this.metadata, name, scope);
  }

  /** Another key of the owner. */
  key(scope: KeyScope | null, expires: number | null = null): Promise<Credentials> {
    return addKey(this.metadata, this.owner.id, scope, expires);
  }

  /** Send a request that no SDK would, signed all the same. */
  raw(call: RawCall): Promise<RawAnswer> {
    const { method = 'GET', target, body = '', as = this.owner.credentials } = call;
    const bytes = Buffer.from(body);
    const now = call.now ?? Date.now();
    const headers: Record<string, string> = {
      host: `127.0.0.1:${this.port}`,
      ...(bytes.length > 0 && { 'content-length': String(bytes.length) }),
      ...call.headers,
    };
    if (as !== null) Object.assign(headers, signHeaders(method, target, headers, bytes, as, now));
    return new Promise((resolve, reject) => {
      const sent = httpRequest(
        { host: '127.0.0.1', port: this.port, method, path: target, headers, agent: false },
        (response) => {
          const parts: Buffer[] = [];
          response.on('data', (part: Buffer) => parts.push(part));
          response.on('error', reject);
          response.on('end', () => {
            const answer = Buffer.concat(parts);
            const code = /<Error><Code>(\w+)</.exec(answer.toString())?.[1];
            resolve({
              status: response.statusCode!,
              headers: response.headers,
              body: answer,
              ...(code !== undefined && { code }),
            });
          });
        },
      );
      sent.on('error', reject);
      sent.end(bytes);
    });
  }

  /** Send bytes as they are; what comes back until the server closes or a time has passed. */
  bytes(text: string, ms = 3000): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1', () => socket.write(text, 'latin1'));
      let answer = '';
      const timer = setTimeout(() => socket.destroy(), ms);
      socket.on('data', (part) => (answer += part.toString('latin1')));
      socket.on('error', reject);
      socket.on('close', () => {
        clearTimeout(timer);
        resolve(answer);
      });
    });
  }

  async stop(): Promise<void> {
    await this.bridge.close(1000);
    await this.metadata.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

async function addUser(metadata: MetadataStore, name: string, scope: KeyScope | null = null) {
  const user = await metadata.createUser({
    name,
    disabled: false,
    admin: false,
    passwordHash: null,
    quota: { bytes: null, objects: null, buckets: null },
    attributes: {},
  });
  return { id: user.id, credentials: await addKey(metadata, user.id, scope) };
}

async function addKey(
  metadata: MetadataStore,
  userId: string,
  scope: KeyScope | null,
  expires: number | null = null,
): Promise<Credentials> {
  const credentials = {
    accessKeyId: `GR${randomBytes(9).toString('hex').toUpperCase()}`,
    secretAccessKey: randomBytes(30).toString('base64url'),
  };
  await metadata.createAccessKey({
    id: credentials.accessKeyId,
    secret: credentials.secretAccessKey,
    userId,
    expires,
    disabled: false,
    description: '',
    scope,
  });
  return credentials;
}

/** The header fields that sign a request. */
export function signHeaders(
  method: string,
  target: string,
  headers: Record<string, string>,
  body: Uint8Array,
  as: Credentials,
  now: number,
): Record<string, string> {
  const date = formatAmzDate(now);
  const scope = { day: date.slice(0, 8), region: 'us-east-1', service: 's3' };
  const hash = headers['x-amz-content-sha256'] ?? createHash('sha256').update(body).digest('hex');
  const all = { ...headers, 'x-amz-date': date, 'x-amz-content-sha256': hash };
  const names = Object.keys(all)
    .map((name) => name.toLowerCase())
    .sort();
  const canonical = canonicalRequest(
    { method, ...parseTarget(target), headers: HeaderList.from(all) },
    names,
    hash,
  );
  const signature = sign(
    signingKey(as.secretAccessKey, scope),
    stringToSign(date, scopeText(scope), canonical),
  );
  return {
    'x-amz-date': date,
    'x-amz-content-sha256': hash,
    authorization: `AWS4-HMAC-SHA256 Credential=${as.accessKeyId}/${scopeText(scope)}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  };
}
