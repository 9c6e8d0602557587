import { BarPlot } from '../design/bar-plot.js';
import { bytes, count, counted, date, duration, percent, rate } from '../design/format.js';
import { Card, Facts, Meter, Tile } from '../design/parts.js';
import type { FarmerState } from '../messages/farmer-state.js';
import { AuditsCard, StoredCard, TrafficCard } from './farming-cards.js';
import { rates } from './model.js';
import { MoneyCard } from './money-card.js';
import { NeighbourhoodCards } from './neighbourhood.js';
import type { Row } from '../messages/stream.js';

const REACHABLE = {
  unknown: 'being found out',
  public: 'yes, directly',
  private: 'not directly',
};

/** A farmer. @param recent - the rows of the last minutes */
export function FarmerView(props: {
  readonly state: FarmerState;
  readonly recent: readonly Row[];
}) {
  const { state, recent } = props;
  const { figures, contracts, neighbourhood, money, time } = state;
  const now = rates(recent, 'farmer', ['bytesIn', 'bytesOut']).at(-1)?.values ?? [0, 0];
  const used = figures.usedBytes + figures.reservedBytes;
  const share = figures.quotaBytes === 0 ? 0 : used / figures.quotaBytes;
  const passed = figures.audits - figures.auditsLost;
  const earned = money.accounts[0];
  return (
    <>
      <section aria-labelledby="overview">
        <h2 id="overview" class="hidden-text">
          Overview
        </h2>
        <div class="tiles">
          <Tile title="Stored" value={bytes(figures.usedBytes)}>
            <Meter share={share} label={`${percent(share)} of the space is taken`} />
            {percent(share)} of {bytes(figures.quotaBytes)}
          </Tile>
          <Tile title="Contracts" value={count(figures.shards)}>
            {contracts === null
              ? 'one for each shard'
              : `${counted(contracts.renters, 'renter')}${contracts.moreRenters ? ' and more' : ''}`}
          </Tile>
          <Tile title="Peers" value={count(neighbourhood.known)}>
            {counted(figures.connections, 'transfer connection')}
          </Tile>
          <Tile title="Traffic now" value={rate((now[0] ?? 0) + (now[1] ?? 0))}>
            {rate(now[0] ?? 0)} in, {rate(now[1] ?? 0)} out
          </Tile>
          <Tile
            title="Audits passed"
            value={figures.audits === 0 ? '–' : percent(passed / figures.audits)}
          >
            {figures.audits === 0
              ? 'none since the start'
              : `${count(passed)} of ${count(figures.audits)} since the start`}
          </Tile>
          <Tile title="Earned" value={earned === undefined ? '0' : count(Number(earned.owed))}>
            {earned?.currency ?? 'everything is for free'}
          </Tile>
        </div>
      </section>

      <section id="network" aria-label="Network">
        <NeighbourhoodCards neighbourhood={neighbourhood} now={time} />
      </section>

      <section id="history" aria-label="History" class="columns two">
        <TrafficCard
          kind="farmer"
          title="Traffic"
          aside={`${bytes(figures.bytesIn)} in, ${bytes(figures.bytesOut)} out since the start`}
        />
        <StoredCard kind="farmer" title="Stored bytes" aside={`${bytes(figures.freeBytes)} free`} />
        <AuditsCard
          kind="farmer"
          title="Audits"
          aside={counted(figures.auditsLost, 'loss admitted', 'losses admitted')}
        />
        <Card title="Contracts by their end" aside="renters renew what they still want">
          {contracts === null ? (
            <p class="soft">They are being counted.</p>
          ) : (
            <BarPlot
              title="Contracts by their end"
              format={count}
              bars={[
                { name: '1 day', value: contracts.endInDay, colour: 3 },
                { name: '7 days', value: contracts.endInWeek - contracts.endInDay },
                { name: '30 days', value: contracts.endInMonth - contracts.endInWeek },
                { name: 'later', value: Math.max(0, figures.shards - contracts.endInMonth) },
              ]}
              axis="end within"
            />
          )}
        </Card>
      </section>

      <section id="account" aria-label="Account" class="columns two">
        <MoneyCard money={money} />
        <Card title="This farmer">
          <Facts
            facts={[
              ['Node ID', <span class="mono">{figures.nodeId}</span>],
              [
                'Address',
                figures.address === '' ? (
                  'none announced'
                ) : (
                  <span class="mono">{figures.address}</span>
                ),
              ],
              ...(figures.reachable === null
                ? []
                : [['Can be reached', REACHABLE[figures.reachable]] as const]),
              ...(figures.tunnels === 0
                ? []
                : [['Reached through', counted(figures.tunnels, 'tunnel')] as const]),
              ...(figures.tunnelClients === 0
                ? []
                : [
                    [
                      'Is a tunnel for',
                      `${counted(figures.tunnelClients, 'node')}, ${bytes(figures.tunnelBytes)} carried`,
                    ] as const,
                  ]),
              [
                'Runs for',
                `${duration(time - figures.startedAt)}, since ${date(figures.startedAt)}`,
              ],
              [
                'Transfers',
                `${counted(figures.uploads, 'upload')}, ${counted(figures.downloads, 'download')}, ${counted(figures.deletes, 'delete')}, ${count(figures.refused)} refused`,
              ],
            ]}
          />
        </Card>
      </section>
    </>
  );
}
