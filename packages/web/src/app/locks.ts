/** Take a lock if nobody has it, in any tab; the function that gives it back, or undefined. */
export function takeLock(
  name: string,
  mode: LockMode = 'exclusive',
): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { ifAvailable: true, mode }, (lock) => {
        if (lock === null) return resolve(undefined);
        return new Promise<void>((release) => resolve(release));
      })
      .catch(reject);
  });
}

/** How many hold a lock, in all tabs. */
export async function holdersOf(name: string): Promise<number> {
  const { held = [] } = await navigator.locks.query();
  return held.filter((lock) => lock.name === name).length;
}
