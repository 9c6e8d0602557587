type Gc = (
  options: { readonly type: 'minor' } | { readonly type: 'major'; readonly execution: 'async' },
) => unknown;

/** Has garbage collected: what is young, at once, or all of it, as soon as there is nothing else to do. */
export type CollectGarbage = (what: 'young' | 'all') => void;

/** What `--expose-gc` gives; undefined where Node was started without it, and in browsers. */
export function exposedGc(): CollectGarbage | undefined {
  const { gc } = globalThis as { gc?: Gc };
  if (gc === undefined) return undefined;
  return (what) =>
    void gc(what === 'young' ? { type: 'minor' } : { type: 'major', execution: 'async' });
}
