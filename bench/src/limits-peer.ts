// A process that measures what each part of a transfer costs alone, whenever it is asked: in one that does other things
// too, theirs would be counted with it.
import { type Scheme, WrittenFiles, measureLimits } from './limits-bench.js';
import { openTlsPump } from './tls-pump.js';

const pump = await openTlsPump();
const files = new WrittenFiles();
process.on('message', (scheme: Scheme) => {
  void measureLimits(scheme, pump, files).then((limits) => process.send!(limits));
});
process.on('disconnect', () => {
  pump.close();
  files.close();
  process.exit();
});
process.send!('ready');
