// A page that is a node of the DHT. The test calls `globalThis.dht`.
import {
  Identity,
  KademliaNode,
  MemoryValueStore,
  WebSocketTransport,
  fromUtf8,
  utf8,
} from '@granary/kad';

const identity = Identity.generate();
const transport = new WebSocketTransport({ identity });
const node = new KademliaNode({ identity, transport, storage: new MemoryValueStore() });
const notified = [];
node.registerMethod('NOTIFY', (params, { sender }) => {
  notified.push({ ...params, from: sender.nodeId });
  return Promise.resolve({ heard: params.text });
});

globalThis.dht = {
  nodeId: identity.nodeId,
  notified,
  async join(addresses) {
    await node.start();
    await node.join(addresses);
    return { addresses: node.contact.addresses, known: node.contacts().map((c) => c.nodeId) };
  },
  lookup: async (target) => (await node.lookup(target)).contacts.map((c) => c.nodeId),
  put: (text) => node.put(utf8(text)),
  get: async (key) => fromUtf8(await node.get(key)),
  call: async (nodeId, method, params) => {
    const contact = node.contacts().find((c) => c.nodeId === nodeId);
    return node.call(contact, method, params);
  },
  connections: () => transport.connections,
  stop: () => node.stop(),
};
