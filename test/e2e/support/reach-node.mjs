// A node of a test that finds out how it is reached, as a farmer does, and serves bytes; or one that
// fetches bytes from others and measures how. Usage:
//   reach-node.mjs serve HOST PORT BOOTSTRAP|- tunnel|node MAPPINGS_FILE|-
//   reach-node.mjs fetch BOOTSTRAP BYTES NODE_ID…
import {
  HttpsTransport,
  Identity,
  KademliaNode,
  createTlsCredentials,
  dialTls,
  directDialer,
  parseAddress,
  standardPlugins,
} from '@granary/kad';
import { DialBack, HolePuncher, Reachability, Tunnels } from '@granary/nat';

const [role, ...args] = process.argv.slice(2);
const say = (message) => console.log(JSON.stringify(message));
const logger = Object.fromEntries(
  ['trace', 'debug', 'info', 'warn', 'error'].map((level) => [
    level,
    (fields, text) =>
      process.env.REACH_LOG === undefined ? undefined : say({ level, text, ...fields }),
  ]),
);

async function serve([host, port, bootstrap, kind, mappings]) {
  const identity = Identity.generate();
  const credentials = await createTlsCredentials(identity);
  const transport = new HttpsTransport({
    credentials,
    listen: { host, port: Number(port) },
    announce: [],
    onRequest: (request, response) => {
      const bytes = Number(/^\/blob\/(\d+)$/.exec(request.url)?.[1]);
      if (!(bytes > 0)) return false;
      response.writeHead(200, { 'content-length': bytes });
      const chunk = Buffer.alloc(64 * 1024, 7);
      let left = bytes;
      const more = () => {
        while (left > 0) {
          const part = chunk.subarray(0, Math.min(left, chunk.length));
          left -= part.length;
          if (!response.write(part)) return response.once('drain', more);
        }
        response.end();
      };
      more();
      return true;
    },
  });
  const seeds = bootstrap === '-' ? [] : [bootstrap];
  const reachability = new Reachability({
    port: () => transport.server.address()?.port,
    bootstrap: seeds,
    ...(mappings !== '-' && { mapping: { file: mappings } }),
  });
  const offer = kind === 'tunnel' ? 'always' : 'never';
  const tunnels = new Tunnels({
    server: () => transport.server,
    credentials,
    reachability,
    offer,
    limits: { bytesPerSecond: Infinity, bytesPerSecondEach: Infinity },
  });
  const puncher = new HolePuncher({
    credentials,
    accept: (socket) => transport.server.emit('connection', socket),
    wanted: () => tunnels.status.through.length > 0,
  });
  const plugins = [...standardPlugins(), new DialBack(), reachability, tunnels, puncher];
  const node = new KademliaNode({ identity, transport, plugins, logger });
  await node.start();
  for (let joined = seeds.length === 0; !joined;) {
    joined = await node.join(seeds).then(
      () => true,
      () => false,
    );
  }
  say({ event: 'ready', nodeId: identity.nodeId });
  const tell = () => {
    const { addresses } = node.contact;
    if (addresses.length > 0) say({ event: 'reachable', addresses });
  };
  reachability.onChange(tell);
  tunnels.onChange(tell);
}

/** Twice, since the first time pays for what is made only once: the better of both. */
async function measure(...args) {
  const [first, second] = [await measureOnce(...args), await measureOnce(...args)];
  return {
    connectMs: Math.min(first.connectMs, second.connectMs),
    mibPerSecond: Math.max(first.mibPerSecond, second.mibPerSecond),
  };
}

/** Connect, fetch, and say how long each took. */
async function measureOnce(nodeId, credentials, dialer, { host, port }, bytes) {
  const begin = performance.now();
  const socket = await dialTls({
    host,
    port,
    dialer,
    credentials,
    expectedNodeId: nodeId,
    timeoutMs: 10_000,
  });
  const connected = performance.now();
  socket.write(`GET /blob/${bytes} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  let got = 0;
  for await (const part of socket) got += part.length;
  if (got < bytes) throw new Error(`only ${got} of ${bytes} bytes came`);
  const seconds = (performance.now() - connected) / 1000;
  return { connectMs: connected - begin, mibPerSecond: bytes / 2 ** 20 / seconds };
}

async function fetchFrom([bootstrap, size, ...targets]) {
  const identity = Identity.generate();
  const credentials = await createTlsCredentials(identity);
  const puncher = new HolePuncher({ credentials });
  const node = new KademliaNode({
    identity,
    transport: new HttpsTransport({ credentials }),
    plugins: [...standardPlugins(), puncher],
    logger,
  });
  await node.start();
  await node.join([bootstrap]);
  const bytes = Number(size);
  for (const nodeId of targets) {
    try {
      const { contacts } = await node.lookup(nodeId);
      const contact = contacts.find((one) => one.nodeId === nodeId);
      const address = contact?.addresses[0];
      if (address === undefined) throw new Error('it is not found');
      const where = parseAddress(address);
      const dialled = await measure(nodeId, credentials, directDialer, where, bytes);
      const punched = await measure(
        nodeId,
        credentials,
        puncher.dialerTo(contact),
        where,
        bytes,
      ).catch((error) => ({ error: error.message }));
      say({ event: 'fetched', nodeId, address, dialled, punched });
    } catch (error) {
      say({ event: 'failed', nodeId, error: error.message });
    }
  }
  await node.stop();
  say({ event: 'done' });
}

if (role === 'serve') await serve(args);
else await fetchFrom(args);
if (role === 'fetch') process.exit();
