/** Wait for a signal, or, when asked to, for the end of the parent that holds our stdin. */
export function until(signal: AbortSignal, withParent = false): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (!withParent) return;
    process.stdin.on('end', resolve).on('close', resolve).on('error', resolve).resume();
  });
}
