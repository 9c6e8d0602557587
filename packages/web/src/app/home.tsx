import { useEffect, useState } from 'preact/hooks';
import type { StreamDesk } from '../stream-worker/stream-desk.js';
import { BucketsView } from './buckets-view.js';
import { FilesView } from './files-view.js';
import { usePlace } from './place.js';
import type { Session } from './session.js';
import { useStore } from './store.js';
import type { Transfer } from './transfer-queue.js';
import { TransfersView } from './transfers-view.js';

function useTransfers(session: Session): readonly Transfer[] {
  const { queue } = session.transfers;
  const [transfers, setTransfers] = useState(queue.transfers);
  useEffect(() => {
    setTransfers(queue.transfers);
    return queue.subscribe(() => setTransfers(queue.transfers));
  }, [queue]);
  return transfers;
}

/** What is wrong with the connection, and what of it goes by itself. */
function ConnectionBanner({ session }: { readonly session: Session }) {
  const { network, online, trouble } = useStore(session.status);
  if (!online) {
    return (
      <p class="banner warn" role="alert">
        <strong>You are offline.</strong> The list is as it was. Uploads and downloads go on by
        themselves when the connection is back.
      </p>
    );
  }
  if (network !== 'unreachable' || trouble === undefined) return null;
  return (
    <p class="banner warn" role="alert">
      <strong>{trouble.text}</strong> {trouble.advice}
    </p>
  );
}

/** What somebody sees who has signed in. */
export function Home(props: { readonly session: Session; readonly desk: Promise<StreamDesk> }) {
  const { session, desk } = props;
  const [place, go] = usePlace();
  const transfers = useTransfers(session);
  const { bucket, folder } = place;
  return (
    <>
      <ConnectionBanner session={session} />
      <div class={transfers.length > 0 ? 'home with-transfers' : 'home'}>
        {bucket === undefined ? (
          <BucketsView session={session} onOpen={(name) => go({ bucket: name, folder: '' })} />
        ) : (
          <FilesView
            key={`${bucket}/${folder}`}
            session={session}
            desk={desk}
            bucket={bucket}
            folder={folder}
            onGo={go}
          />
        )}
        {transfers.length > 0 && <TransfersView session={session} transfers={transfers} />}
      </div>
    </>
  );
}
