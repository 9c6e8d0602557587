import { type ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { date } from '../design/format.js';
import { Dialog } from './dialog.js';
import { troubleOf } from './trouble.js';

const DAY = 24 * 3600 * 1000;
const LIFETIMES = [
  ['1', 'a day'],
  ['7', 'a week'],
  ['30', '30 days'],
  ['365', 'a year'],
  ['never', 'until it is taken back'],
] as const;

/** A link that was given to somebody. Times are milliseconds since the epoch. */
export interface GivenLink {
  readonly id: string;
  readonly created: number;
  /** Null when it has no end. */
  readonly expires: number | null;
  readonly link: string;
}

/** Who makes links of one kind, and takes them back. */
export interface LinkMaking {
  /** Those that are open, the newest first. */
  list(): Promise<readonly GivenLink[]>;
  /** Make one. @returns the link */
  make(expires: number | null): Promise<string>;
  /** Take one back. @returns how many farmers have still to be told */
  takeBack(id: string): Promise<number>;
}

/** The address of another page beside this one, for a link to be made of. */
export function pageBeside(name: string): string {
  const page = new URL(name, location.href);
  page.hash = '';
  page.search = '';
  return page.href;
}

/** Makes links, shows those there are, and takes them back. */
export function LinkDialog(props: {
  readonly title: string;
  /** What a link is good for. */
  readonly children: ComponentChildren;
  /** What the list of links is called. */
  readonly listed: string;
  readonly making: LinkMaking;
  readonly onClose: () => void;
}) {
  const { title, children, listed, making, onClose } = props;
  const [links, setLinks] = useState<readonly GivenLink[] | undefined>();
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState('');
  const [note, setNote] = useState('');
  const lifetime = useRef<HTMLSelectElement>(null);
  const id = useId();

  const attempt = async (work: () => Promise<void>) => {
    setBusy(true);
    setFault('');
    setNote('');
    try {
      await work();
      setLinks(await making.list());
    } catch (error) {
      const { text, advice } = troubleOf(error);
      setFault(`${text} ${advice}`);
    } finally {
      setBusy(false);
    }
  };
  useEffect(() => void attempt(() => Promise.resolve()), []);

  const make = () =>
    attempt(async () => {
      const days = lifetime.current!.value;
      const expires = days === 'never' ? null : Date.now() + Number(days) * DAY;
      setNote(await copied(await making.make(expires)));
    });
  const takeBack = (given: GivenLink) =>
    attempt(async () => {
      const untold = await making.takeBack(given.id);
      setNote(
        untold === 0
          ? 'The link is taken back.'
          : 'The link is taken back. Some farmers do not answer now: they are told when they do.',
      );
    });

  return (
    <Dialog title={title} onClose={onClose} wide>
      {children}
      <form
        class="share-form"
        onSubmit={(event) => {
          event.preventDefault();
          void make();
        }}
      >
        <label for={id}>The link works for</label>
        <select id={id} ref={lifetime}>
          {LIFETIMES.map(([value, text]) => (
            <option key={value} value={value} selected={value === '30'}>
              {text}
            </option>
          ))}
        </select>
        <button type="submit" class="button main" disabled={busy}>
          {busy ? 'One moment …' : 'Make a link'}
        </button>
      </form>
      <p class="fault" role="alert">
        {fault}
      </p>
      <p class="soft small" role="status">
        {note}
      </p>
      {links !== undefined && links.length > 0 && (
        <ul class="share-links" aria-label={listed}>
          {links.map((given) => (
            <li key={given.id}>
              <input
                type="text"
                readOnly
                value={given.link}
                aria-label={`Link made ${date(given.created)}`}
                onFocus={(event) => event.currentTarget.select()}
              />
              <div class="dialog-actions">
                <span class="soft small start">
                  {given.expires === null
                    ? 'Until it is taken back'
                    : `Until ${date(given.expires)}`}
                </span>
                <button
                  type="button"
                  class="button danger"
                  disabled={busy}
                  onClick={() => void takeBack(given)}
                >
                  Take back
                </button>
                <button
                  type="button"
                  class="button"
                  onClick={() => void copied(given.link).then(setNote)}
                >
                  Copy
                </button>
              </div>
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}

/** Copy a link, if the browser lets us; what to say. */
async function copied(link: string): Promise<string> {
  try {
    await navigator.clipboard.writeText(link);
    return 'The link is copied.';
  } catch {
    return 'The link is there, but the browser does not let us copy it: select it and copy it yourself.';
  }
}
