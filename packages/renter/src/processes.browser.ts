// Who works on a store that several may use, in browsers: pages of one origin, which may be gone at any
// time: see processes.ts. Each holds a lock of its own (Web Locks) for as long as it lives, and the browser
// gives it back whatever becomes of the page. Numbers are random and never used again, and a page holds its
// lock before it writes anything under its number: who is found without a lock once is gone for good.
import { systemRandom } from '@granary/kad';
import { RenterError } from './errors.js';

const PREFIX = 'granary renter ';
const gone = new Set<number>();
/** Numbers kept in mind; there are not many, and to forget one does no harm. */
const MAX_GONE = 10_000;
let entered: Promise<number> | undefined;

function locks(): LockManager {
  const { navigator } = globalThis as { navigator?: Navigator };
  if (navigator?.locks === undefined) {
    throw new RenterError(
      'RENTER_PLATFORM',
      'there are no Web Locks here: open the page over https://, or from this machine',
    );
  }
  return navigator.locks;
}

/** Make it known that we are there; our number. To be called before anything is written under it. */
export function enterProcesses(): Promise<number> {
  return (entered ??= enter());
}

async function enter(): Promise<number> {
  const view = new DataView(systemRandom(8).slice().buffer);
  const number = view.getUint32(0) * 2 ** 21 + (view.getUint32(4) >>> 11);
  await new Promise<void>((resolve, reject) => {
    locks()
      .request(`${PREFIX}${number}`, () => {
        resolve();
        // For as long as the page lives.
        return new Promise<never>(() => undefined);
      })
      .catch(reject);
  });
  return number;
}

/** Find out whether somebody is still there, for {@link isAlive} to say. */
export async function lookAfter(numbers: Iterable<number>): Promise<void> {
  const unknown = [...numbers].filter((number) => !gone.has(number));
  if (unknown.length === 0) return;
  const { held = [] } = await locks().query();
  const names = new Set(held.map(({ name }) => name));
  for (const number of unknown) {
    if (names.has(`${PREFIX}${number}`)) continue;
    if (gone.size >= MAX_GONE) gone.clear();
    gone.add(number);
  }
}

/** Whether somebody is still there, as far as is known at once; who is not known to be gone is there. */
export function isAlive(number: number): boolean {
  return !gone.has(number);
}

/** Pages see those of their origin, and nobody else's store: there is no name to tell spaces apart by. */
export function processSpace(): string | undefined {
  return undefined;
}
