import { useId, useState } from 'preact/hooks';
import { formatScheme, parseScheme } from '@granary/protocol';
import { defaultSettings } from '@granary/renter';
import {
  type HostNetwork,
  type OwnSettings,
  parseAddresses,
  schemeInWords,
} from './network-settings.js';

/** The settings of this device: where the network is, and how much redundancy new files get. */
export function SettingsForm(props: {
  readonly host: HostNetwork | undefined;
  readonly own: OwnSettings;
  readonly onSave: (own: OwnSettings) => void;
}) {
  const { host, own, onSave } = props;
  const [fault, setFault] = useState('');
  const [saved, setSaved] = useState(false);
  const [scheme, setScheme] = useState(own.scheme ?? '');
  const ids = { addresses: useId(), scheme: useId(), downloads: useId() };
  const usual = host?.scheme ?? formatScheme(defaultSettings.scheme);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    setSaved(false);
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => {
      const value = form.get(name);
      return typeof value === 'string' ? value.trim() : '';
    };
    try {
      const bootstrap = parseAddresses(text('addresses'));
      if (text('scheme') !== '') parseScheme(text('scheme'));
      onSave({
        ...(bootstrap.length > 0 && { bootstrap }),
        ...(text('scheme') !== '' && { scheme: text('scheme') }),
        downloads: text('downloads') === 'straight' ? 'straight' : 'resume',
      });
      setFault('');
      setSaved(true);
    } catch (error) {
      setFault(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <form class="form" onSubmit={submit}>
      <div>
        <label for={ids.addresses}>Addresses of the network, one a line</label>
        <textarea
          id={ids.addresses}
          name="addresses"
          rows={3}
          spellcheck={false}
          autocapitalize="none"
          aria-describedby={`${ids.addresses}-help`}
        >
          {(own.bootstrap ?? []).join('\n')}
        </textarea>
        <p class="soft small" id={`${ids.addresses}-help`}>
          {host === undefined || host.bootstrap.length === 0
            ? 'A farmer prints its own when it starts with --browser-port.'
            : `Leave it empty for the network of this site (${host.bootstrap.length} addresses).`}{' '}
          They look like wss://farm.example.org:4601 or webrtc://203.0.113.5:4601/….
        </p>
      </div>
      <div>
        <label for={ids.scheme}>Redundancy of new files</label>
        <input
          id={ids.scheme}
          name="scheme"
          type="text"
          value={scheme}
          placeholder={usual}
          autocomplete="off"
          spellcheck={false}
          aria-describedby={`${ids.scheme}-help`}
          onInput={(event) => setScheme(event.currentTarget.value)}
        />
        <p class="soft small" id={`${ids.scheme}-help`}>
          Needed / repaired below / safe to stop at / made.{' '}
          {wordsOf(scheme === '' ? usual : scheme)}
        </p>
      </div>
      <div>
        <label for={ids.downloads}>Downloads</label>
        <select id={ids.downloads} name="downloads" value={own.downloads ?? 'resume'}>
          <option value="resume">go on after a reload (kept in the browser until saved)</option>
          <option value="straight">straight to the disk (begin anew after a reload)</option>
        </select>
      </div>
      <p class="fault" role="alert">
        {fault}
      </p>
      <div class="row">
        <button type="submit" class="button main">
          Save settings
        </button>
        <span role="status" class="soft small">
          {saved ? 'Saved on this device.' : ''}
        </span>
      </div>
    </form>
  );
}

function wordsOf(scheme: string): string {
  try {
    return `Now: ${schemeInWords(parseScheme(scheme))}.`;
  } catch {
    return 'Write it like 4/6/10/12.';
  }
}
