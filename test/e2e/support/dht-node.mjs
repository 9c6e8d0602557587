// A process that is one node of the DHT, over HTTPS and WebSockets. It prints one JSON line when it is
// ready, and answers each JSON line that it is sent with one of its own. Arguments: bootstrap addresses.
// With TLS_KEY and TLS_CERT in the environment (paths of PEM files), its WebSockets are inside TLS.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import {
  CombinedTransport,
  HttpsTransport,
  Identity,
  KademliaNode,
  MemoryValueStore,
  WebSocketListener,
  WebSocketTransport,
  createTlsCredentials,
} from '@granary/kad';

const identity = Identity.generate();
const credentials = await createTlsCredentials(identity);
const here = { host: '127.0.0.1', port: 0 };
const { TLS_KEY, TLS_CERT } = process.env;
const tls =
  TLS_KEY === undefined
    ? undefined
    : { key: readFileSync(TLS_KEY, 'utf8'), cert: readFileSync(TLS_CERT, 'utf8') };
const listener = WebSocketListener.standalone({ ...here, ...(tls && { tls }) });
const transport = new CombinedTransport([
  new HttpsTransport({ credentials, listen: here }),
  new WebSocketTransport({ identity, credentials, listener }),
]);
const node = new KademliaNode({ identity, transport, storage: new MemoryValueStore() });
const heard = new Map();
node.registerMethod('SUBSCRIBE', (_params, { sender }) => {
  heard.set(sender.nodeId, sender);
  return Promise.resolve({ subscribed: sender.addresses.length });
});
await node.start();
if (process.argv.length > 2) await node.join(process.argv.slice(2));

const commands = {
  put: async ({ text }) => node.put(Buffer.from(text)),
  get: async ({ key }) => ({ text: Buffer.from(await node.get(key)).toString() }),
  notify: async ({ nodeId, text }) => node.call(heard.get(nodeId), 'NOTIFY', { text }),
  contacts: async () => node.contacts().map((contact) => contact.nodeId),
};
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
print({ nodeId: identity.nodeId, addresses: node.contact.addresses });
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const { command, ...params } = JSON.parse(line);
  commands[command](params).then(
    (result) => print({ result }),
    (error) => print({ error: { code: error.code, message: error.message } }),
  );
});
// The end of the parent is the end of the process.
lines.on('close', () => node.stop().finally(() => process.exit(0)));
