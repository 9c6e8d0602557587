import { useMemo } from 'preact/hooks';
import { formatAccessGrant } from '@granary/protocol';
import type { AccessGrantInfo } from '@granary/renter';
import { LinkDialog, type LinkMaking, pageBeside } from './link-dialog.js';
import type { Session } from './session.js';

/** Lets others read a bucket or a folder by links, shows those there are, and takes them back. */
export function GrantDialog(props: {
  readonly session: Session;
  readonly bucket: string;
  /** Empty, or ending in a slash. */
  readonly folder: string;
  readonly onClose: () => void;
}) {
  const { session, bucket, folder, onClose } = props;
  const making = useMemo<LinkMaking>(() => {
    const { renter } = session;
    const scope = { bucket, prefix: folder };
    const linkOf = async ({ link }: AccessGrantInfo) => {
      const addresses = await renter.linkAddresses();
      return formatAccessGrant({ ...link, page: pageBeside('app.html'), addresses });
    };
    return {
      async list() {
        const found = (await renter.grants()).filter(
          (one) => one.bucket === bucket && one.prefix === folder && one.state === 'open',
        );
        const given = found.map(async (info) => ({ ...info, link: await linkOf(info) }));
        return (await Promise.all(given)).reverse();
      },
      make: async (expires) => linkOf(await renter.grant(scope, { expires })),
      takeBack: async (id) => (await renter.revokeGrant(id)).untold,
    };
  }, [session, bucket, folder]);
  const what = folder === '' ? 'this bucket' : 'this folder';
  return (
    <LinkDialog
      title={`Give access to ${folder.split('/').at(-2) ?? bucket}`}
      listed={`Access to ${what}`}
      making={making}
      onClose={onClose}
    >
      <p>
        Whoever has the link can look at and download everything in {what}, and what you add later.
        They can’t change anything. Make one for each person, so that you can take back one alone.
      </p>
    </LinkDialog>
  );
}
