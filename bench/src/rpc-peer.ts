// The other end of the RPC benchmark: a node over HTTPS that answers, and tells what CPU it has used.
import { startHttpsNode } from './https-node.js';

const node = await startHttpsNode();
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send!({ microseconds: user + system });
});
process.on('disconnect', () => process.exit());
process.send!({ contact: node.contact });
