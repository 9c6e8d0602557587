import { useMemo } from 'preact/hooks';
import { formatShareLink } from '@granary/protocol';
import type { ObjectSummary, ShareInfo } from '@granary/renter';
import { LinkDialog, type LinkMaking, pageBeside } from './link-dialog.js';
import type { Session } from './session.js';

/** Makes links to an object, shows those there are, and takes them back. */
export function ShareDialog(props: {
  readonly session: Session;
  readonly bucket: string;
  readonly object: ObjectSummary;
  readonly onClose: () => void;
}) {
  const { session, bucket, object, onClose } = props;
  const name = object.name.split('/').at(-1) ?? object.name;
  const making = useMemo<LinkMaking>(() => {
    const { renter } = session;
    const path = { bucket, name: object.name };
    const linkOf = async ({ link }: ShareInfo) => {
      const addresses = await renter.linkAddresses();
      return formatShareLink({ ...link, page: pageBeside('share.html'), addresses });
    };
    return {
      async list() {
        const found = (await renter.shares()).filter(
          (one) => one.bucket === bucket && one.name === object.name && one.state === 'open',
        );
        const given = found.map(async (info) => ({ ...info, link: await linkOf(info) }));
        return (await Promise.all(given)).reverse();
      },
      make: async (expires) => linkOf(await renter.share(path, { expires })),
      takeBack: async (id) => (await renter.unshare(id)).untold,
    };
  }, [session, bucket, object]);
  return (
    <LinkDialog
      title={`Share ${name}`}
      listed="Links to this file"
      making={making}
      onClose={onClose}
    >
      <p>
        Whoever has the link can read this version of the file, without an account. It is decrypted
        in their browser; the key is in the link alone.
      </p>
    </LinkDialog>
  );
}
