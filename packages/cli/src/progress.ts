import { SingleBar } from 'cli-progress';
import { formatDuration, formatRate, formatSize } from './units.js';

/** A progress bar on stderr. */
export interface Progress {
  update(bytes: number, total: number | undefined, remark: string): void;
  stop(): void;
}

const NONE: Progress = { update: () => undefined, stop: () => undefined };

/** A bar when stderr is a terminal, nothing otherwise. */
export function startProgress(label: string, enabled: boolean): Progress {
  if (!enabled || !process.stderr.isTTY) return NONE;
  const begun = Date.now();
  const bar = new SingleBar({
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
    fps: 10,
    format: (options, params, payload: { total?: number; remark?: string }) => {
      const elapsed = Date.now() - begun;
      const size = Math.round((options.barsize ?? 40) * 0.6);
      const done = Math.round(params.progress * size);
      const drawn = `${'█'.repeat(done)}${'░'.repeat(size - done)}`;
      const rate = formatRate(params.value, elapsed);
      if (payload.total === undefined) {
        return `${label} ${formatSize(params.value)}  ${rate}  ${payload.remark ?? ''}`;
      }
      const left =
        params.value > 0 ? (elapsed / params.value) * (payload.total - params.value) : undefined;
      const eta = left === undefined ? '' : `  ${formatDuration(left)} left`;
      return `${label} ${drawn} ${formatSize(params.value)} of ${formatSize(payload.total)}  ${rate}${eta}  ${payload.remark ?? ''}`;
    },
  });
  bar.start(1, 0, {});
  return {
    update(bytes, total, remark) {
      bar.setTotal(Math.max(1, total ?? bytes));
      bar.update(bytes, { total, remark });
    },
    stop: () => bar.stop(),
  };
}
