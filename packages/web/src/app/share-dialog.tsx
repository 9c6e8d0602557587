import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { formatShareLink } from '@granary/protocol';
import type { ObjectSummary, ShareInfo } from '@granary/renter';
import { date } from '../design/format.js';
import { Dialog } from './dialog.js';
import type { Session } from './session.js';
import { troubleOf } from './trouble.js';

const DAY = 24 * 3600 * 1000;
const LIFETIMES = [
  ['1', 'a day'],
  ['7', 'a week'],
  ['30', '30 days'],
  ['365', 'a year'],
  ['never', 'until it is taken back'],
] as const;

/** A link to the page that opens shares, beside this one. */
async function linkOf(session: Session, { link }: ShareInfo): Promise<string> {
  const page = new URL('share.html', location.href);
  page.hash = '';
  page.search = '';
  const addresses = await session.renter.linkAddresses();
  return formatShareLink({ ...link, page: page.href, addresses });
}

/** Makes links to an object, shows those there are, and takes them back. */
export function ShareDialog(props: {
  readonly session: Session;
  readonly bucket: string;
  readonly object: ObjectSummary;
  readonly onClose: () => void;
}) {
  const { session, bucket, object, onClose } = props;
  const { renter } = session;
  const name = object.name.split('/').at(-1) ?? object.name;
  const [shares, setShares] = useState<readonly { info: ShareInfo; link: string }[] | undefined>();
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState('');
  const [note, setNote] = useState('');
  const lifetime = useRef<HTMLSelectElement>(null);
  const id = useId();

  const read = async () => {
    const found = (await renter.shares()).filter(
      (one) => one.bucket === bucket && one.name === object.name && one.state === 'open',
    );
    const links = await Promise.all(found.map((info) => linkOf(session, info)));
    setShares(found.map((info, i) => ({ info, link: links[i]! })).reverse());
  };
  const attempt = async (work: () => Promise<void>) => {
    setBusy(true);
    setFault('');
    setNote('');
    try {
      await work();
      await read();
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
      const info = await renter.share({ bucket, name: object.name }, { expires });
      setNote(await copied(await linkOf(session, info)));
    });
  const takeBack = (info: ShareInfo) =>
    attempt(async () => {
      const { untold } = await renter.unshare(info.id);
      setNote(
        untold === 0
          ? 'The link is taken back.'
          : 'The link is taken back. Some farmers do not answer now: they are told when they do.',
      );
    });

  return (
    <Dialog title={`Share ${name}`} onClose={onClose} wide>
      <p>
        Whoever has the link can read this version of the file, without an account. It is decrypted
        in their browser; the key is in the link alone.
      </p>
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
      {shares !== undefined && shares.length > 0 && (
        <ul class="share-links" aria-label="Links to this file">
          {shares.map(({ info, link }) => (
            <li key={info.id}>
              <input
                type="text"
                readOnly
                value={link}
                aria-label={`Link made ${date(info.created)}`}
                onFocus={(event) => event.currentTarget.select()}
              />
              <div class="dialog-actions">
                <span class="soft small start">
                  {info.expires === null ? 'Until it is taken back' : `Until ${date(info.expires)}`}
                </span>
                <button
                  type="button"
                  class="button danger"
                  disabled={busy}
                  onClick={() => void takeBack(info)}
                >
                  Take back
                </button>
                <button
                  type="button"
                  class="button"
                  onClick={() => void copied(link).then(setNote)}
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
