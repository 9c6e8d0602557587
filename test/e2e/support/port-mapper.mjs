// Keeps a port mapped until SIGTERM, and prints one line of JSON for each thing that happens.
// Usage: node port-mapper.mjs FILE PORT [PROTOCOL,…] [LIFETIME]
import { PortMapper } from '@granary/nat';

const [file, port, protocols = '', lifetime = '3600'] = process.argv.slice(2);
const say = (line) => console.log(JSON.stringify(line));
const mapper = new PortMapper({
  file,
  internalPort: Number(port),
  lifetimeSeconds: Number(lifetime),
  ...(protocols !== '' && { protocols: protocols.split(',') }),
});
mapper.onChange((mapping) => say({ event: 'mapping', mapping: mapping ?? null }));
process.once('SIGTERM', async () => {
  await mapper.stop();
  say({ event: 'stopped' });
});
process.on('SIGUSR2', () => void mapper.refresh());
await mapper.start();
say({ event: 'started', attempts: mapper.attempts, gateway: mapper.gateway ?? null });
// The mapper's own timers keep nothing alive that should end.
