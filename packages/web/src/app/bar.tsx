import { useState } from 'preact/hooks';
import { ago, counted } from '../design/format.js';
import { Live, PageBar } from '../design/page-bar.js';
import { Confirm, Dialog } from './dialog.js';
import { Icon } from './icons.js';
import { Menu } from './menu.js';
import type { HostNetwork, OwnSettings } from './network-settings.js';
import type { Over, Session, SessionStatus } from './session.js';
import { SettingsForm } from './settings-form.js';
import { useStore } from './store.js';

/** How the connection is, in few words. */
export function connectionOf({ network, online, nodes }: SessionStatus): {
  readonly good: boolean;
  readonly text: string;
} {
  if (!online) return { good: false, text: 'offline' };
  if (network === 'joining') return { good: false, text: 'connecting' };
  if (network === 'unreachable') return { good: false, text: 'network not reached' };
  return { good: true, text: nodes === 0 ? 'connected' : counted(nodes, 'node') };
}

function Connection({ session }: { readonly session: Session }) {
  const { good, text } = connectionOf(useStore(session.status));
  return <Live good={good} text={text} role="status" />;
}

/** The bar at the top. */
export function Bar(props: {
  readonly session: Session | undefined;
  readonly host: HostNetwork | undefined;
  readonly own: OwnSettings;
  readonly onSettings: (own: OwnSettings) => void;
  readonly onSignOut: (why: Over) => void;
}) {
  const { session, host, own, onSettings, onSignOut } = props;
  const [shown, setShown] = useState<'settings' | 'account' | 'erase' | 'renew' | undefined>();
  const close = () => setShown(undefined);
  return (
    <>
      <PageBar
        title="Granary"
        last={
          session !== undefined && (
            <Menu
              label="Account"
              items={[
                { text: 'Settings', run: () => setShown('settings') },
                { text: 'About this account', run: () => setShown('account') },
                { text: 'Fetch everything anew', run: () => setShown('renew') },
                { text: 'Sign out', run: () => onSignOut('signed-out') },
                {
                  text: 'Sign out and erase',
                  run: () => setShown('erase'),
                  danger: true,
                },
              ]}
            >
              <Icon name="person" />
            </Menu>
          )
        }
      >
        {session !== undefined && <Connection session={session} />}
      </PageBar>
      {shown === 'settings' && (
        <Dialog title="Settings" onClose={close}>
          <SettingsForm host={host} own={own} onSave={onSettings} />
          <p class="soft small">Addresses count from the next time that you sign in.</p>
        </Dialog>
      )}
      {shown === 'account' && session !== undefined && (
        <AccountDialog session={session} onClose={close} />
      )}
      {shown === 'erase' && (
        <Confirm
          title="Erase what this browser has?"
          action="Sign out and erase"
          onYes={() => onSignOut('erased')}
          onClose={close}
        >
          <p>
            The list of your files and unfinished uploads and downloads are removed from this
            browser. What is stored in the network stays: your 24 words bring it back, here or
            elsewhere.
          </p>
        </Confirm>
      )}
      {shown === 'renew' && (
        <Confirm
          title="Fetch everything anew?"
          action="Fetch anew"
          onYes={() => onSignOut('renewed')}
          onClose={close}
        >
          <p>
            This is for when another device has changed your files. The list that this browser has
            is thrown away, and the one in the network takes its place. Unfinished uploads are given
            up.
          </p>
        </Confirm>
      )}
    </>
  );
}

function AccountDialog(props: { readonly session: Session; readonly onClose: () => void }) {
  const { session, onClose } = props;
  const { care, nodes } = useStore(session.status);
  const now = Date.now();
  return (
    <Dialog title="About this account" onClose={onClose}>
      <dl class="facts">
        <dt>Node ID</dt>
        <dd class="mono">{session.account}</dd>
        <dt>Nodes known</dt>
        <dd>{nodes}</dd>
        <dt>Looked after</dt>
        <dd>
          {care === undefined && 'not yet in this tab: a minute after the network was found'}
          {care?.report !== undefined &&
            `${ago(care.at, now)}: ${care.report.repaired} segments repaired`}
          {care?.trouble !== undefined && `${ago(care.at, now)}: ${care.trouble.text}`}
        </dd>
      </dl>
      <p class="soft small">
        While this page is open it audits the farmers, renews contracts and repairs what was lost.
        Files are safe without it for a while, not for ever: open it at least every few weeks.
      </p>
    </Dialog>
  );
}
