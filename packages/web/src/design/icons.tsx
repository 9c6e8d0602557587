/** How serious something is. */
export type Level = 'good' | 'busy' | 'warn' | 'bad';

const PATHS: Record<Level, string> = {
  good: 'M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm-1.2 14.2-4-4 1.5-1.5 2.5 2.5 5.2-5.3 1.5 1.5-6.7 6.8Z',
  busy: 'M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm1 11h-6v-2h4V6h2v7Z',
  warn: 'M12 2.5 1.5 21h21L12 2.5Zm-1 7h2v5.5h-2V9.500Zm0 7h2v2h-2v-2Z',
  bad: 'M7.9 2h8.200L22 7.900v8.200L16.100 22H7.900L2 16.100V7.900L7.900 2ZM11 6.500h2v7h-2v-7Zm0 8.700h2v2h-2v-2Z',
};

/** A sign for a level: each has a shape of its own, so that colour is not all that tells them apart. */
export function LevelIcon({ level }: { readonly level: Level }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path fill="currentColor" fill-rule="evenodd" d={PATHS[level]} />
    </svg>
  );
}
