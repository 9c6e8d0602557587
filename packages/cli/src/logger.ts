import { pino } from 'pino';
import type { Logger } from '@granary/kad';

/** Structured logs on stderr. Secrets are never passed to it; these names are blotted out besides. */
export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: { pid: process.pid },
      redact: ['*.password', '*.words', '*.entropy', '*.privateKey', '*.objectKey'],
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
