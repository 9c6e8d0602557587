import { useRef, useState } from 'preact/hooks';
import { bytes, count, counted, percent, rate, shortId } from '../design/format.js';
import { Badge, Meter } from '../design/parts.js';
import { pickedFiles } from './chosen-files.js';
import { Icon } from './icons.js';
import type { Session } from './session.js';
import type { Transfer } from './transfer-queue.js';

/** Drawn at most; of those that are done the newest. */
const MAX_SHOWN = 50;

const WORDS = {
  queued: 'waits for its turn',
  running: '',
  paused: 'paused',
  lost: 'choose the file again to go on',
  retrying: 'tries again soon',
  failed: 'failed',
  done: 'done',
} as const;

const LEVELS = {
  queued: undefined,
  running: 'busy',
  paused: undefined,
  lost: 'warn',
  retrying: 'warn',
  failed: 'bad',
  done: 'good',
} as const;

/** The queue of uploads and downloads. */
export function TransfersView(props: {
  readonly session: Session;
  readonly transfers: readonly Transfer[];
}) {
  const { session, transfers } = props;
  const again = useRef<HTMLInputElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const open = transfers.filter(({ state }) => state !== 'done');
  const done = transfers.filter(({ state }) => state === 'done');
  const shown = [...open, ...done.reverse()].slice(0, MAX_SHOWN);
  const hidden = transfers.length - shown.length;
  const resume = async (transfer: Transfer) => {
    const found = await session.transfers.resume(transfer.id).catch(() => false);
    if (!found) again.current?.click();
  };
  return (
    <aside class="card transfers" aria-labelledby="transfers">
      <header>
        <h2 id="transfers" ref={heading} tabIndex={-1}>
          Transfers
        </h2>
        {done.length > 0 && (
          <button
            type="button"
            class="button"
            onClick={() => {
              heading.current?.focus();
              void session.transfers.clear();
            }}
          >
            Clear done
          </button>
        )}
      </header>
      <ul>
        {shown.map((transfer) => (
          <TransferLine
            key={transfer.id}
            session={session}
            transfer={transfer}
            onResume={() => void resume(transfer)}
            onRemove={() => {
              heading.current?.focus();
              void session.transfers.remove(transfer);
            }}
          />
        ))}
      </ul>
      {hidden > 0 && <p class="soft small">and {count(hidden)} more</p>}
      <input
        ref={again}
        type="file"
        multiple
        hidden
        data-picks="again"
        aria-label="The file to go on with"
        onChange={(event) => {
          const input = event.currentTarget;
          const [first] = transfers.filter(({ state }) => state === 'lost');
          if (input.files !== null && first !== undefined) {
            // One that was not begun before is stored beside the one that was.
            const folder = first.name.slice(0, first.name.lastIndexOf('/') + 1);
            void session.transfers.upload(first.bucket, folder, pickedFiles(input.files));
          }
          input.value = '';
        }}
      />
    </aside>
  );
}

function TransferLine(props: {
  readonly session: Session;
  readonly transfer: Transfer;
  readonly onResume: () => void;
  readonly onRemove: () => void;
}) {
  const { session, transfer, onResume, onRemove } = props;
  const { id, kind, name, size, state, resumed, trouble, note, board } = transfer;
  const [farmers, setFarmers] = useState(false);
  const share = size === 0 ? (state === 'done' ? 1 : 0) : transfer.bytes / size;
  const shortName = name.split('/').at(-1) ?? name;
  const verb = kind === 'upload' ? 'upload' : 'download';
  const lines = board.farmers();
  const moving = state === 'running' || state === 'queued' || state === 'retrying';
  return (
    <li class={`transfer ${state}`}>
      <div class="transfer-head">
        <Icon name={kind} />
        <span class="transfer-name" title={name}>
          {shortName}
          <span class="hidden-text">, {verb}</span>
        </span>
        <span class="transfer-buttons">
          {moving && (
            <button
              type="button"
              class="button plain"
              aria-label={`Pause ${verb} of ${shortName}`}
              onClick={() => void session.transfers.pause(id)}
            >
              <Icon name="pause" />
            </button>
          )}
          {['paused', 'failed', 'retrying', 'lost'].includes(state) && (
            <button
              type="button"
              class="button plain"
              aria-label={
                state === 'lost' && !session.transfers.knowsFile(id)
                  ? `Choose ${shortName} again to go on`
                  : `Resume ${verb} of ${shortName}`
              }
              onClick={onResume}
            >
              <Icon name="play" />
            </button>
          )}
          <button
            type="button"
            class="button plain"
            aria-label={
              state === 'done' ? `Take ${shortName} off the list` : `Cancel ${verb} of ${shortName}`
            }
            onClick={onRemove}
          >
            <Icon name="close" />
          </button>
        </span>
      </div>
      <span
        class="meter"
        role="progressbar"
        aria-label={`${verb} of ${shortName}`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.floor(share * 100)}
      >
        <span style={{ width: `${Math.min(100, share * 100)}%` }} />
      </span>
      <p class="small transfer-state">
        {WORDS[state] !== '' && <Badge {...levelOf(state)}>{WORDS[state]}</Badge>}
        <span class="soft">
          {state === 'done'
            ? bytes(size)
            : `${bytes(transfer.bytes)} of ${bytes(size)}, ${percent(share)}`}
          {state === 'running' && transfer.rate > 0 && `, ${rate(transfer.rate)}`}
          {resumed > 0 && `; ${bytes(resumed)} were there already`}
        </span>
        {lines.length > 0 && (
          <button
            type="button"
            class="link small"
            aria-expanded={farmers}
            onClick={() => setFarmers(!farmers)}
          >
            {farmers ? 'Hide farmers' : counted(lines.length, 'farmer')}
            <span class="hidden-text"> of the {verb}</span>
          </button>
        )}
      </p>
      {farmers && lines.length > 0 && <Farmers transfer={transfer} />}
      {trouble !== undefined && (
        <p class="small trouble">
          <strong>{trouble.text}</strong> {trouble.advice}
        </p>
      )}
      {note !== undefined && <p class="small soft">{note}</p>}
    </li>
  );
}

function levelOf(state: Transfer['state']) {
  const level = LEVELS[state];
  return level === undefined ? {} : { level };
}

/** Where the shards go, or come from. */
function Farmers({ transfer: { board, kind } }: { readonly transfer: Transfer }) {
  return (
    <div class="farmers">
      {board.lines().map(({ segment, shards }) => {
        const done = shards.filter(({ state }) => state === 'done').length;
        return (
          <div key={segment} class="segment">
            <span class="small">Segment {count(segment + 1)}</span>
            <span
              class="shards"
              role="img"
              aria-label={`Segment ${segment + 1}: ${done} of ${shards.length} shards are ${kind === 'upload' ? 'stored' : 'here'}`}
            >
              {shards.map(({ shard, farmer, share, state }) => (
                <i
                  key={shard}
                  class={state}
                  title={`shard ${shard + 1}, farmer ${shortId(farmer)}: ${percent(share)}`}
                >
                  <span style={{ height: `${share * 100}%` }} />
                </i>
              ))}
            </span>
          </div>
        );
      })}
      <ul>
        {board.farmers().map(({ nodeId, bytes: moved, done, failed, moving }) => (
          <li key={nodeId}>
            <span class="mono">{shortId(nodeId)}</span>
            <Meter
              share={done === 0 && moving === 0 ? 0 : done / Math.max(1, done + moving + failed)}
              label={`${done} shards done`}
            />
            <span class="soft number">
              {bytes(moved)}
              {failed > 0 && `, ${failed} failed`}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
