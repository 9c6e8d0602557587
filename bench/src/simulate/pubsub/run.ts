import { parseArgs } from 'node:util';
import { protocols } from './protocols.js';
import { measurePubSub } from './scenario.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    nodes: { type: 'string', default: '1000' },
    protocols: { type: 'string', default: 'granary,gossipsub,quasar,flooding' },
    groups: { type: 'string', default: '3,10,100,1000' },
    publications: { type: 'string', default: '20' },
    /** Median session in minutes; none without it. */
    churn: { type: 'string' },
  },
});

console.log(
  '| protocol | nodes | churn | group | delivered | payload | control | together | bytes | p50 | p95 | p99 | joining |',
);
console.log('| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |');
for (const name of values.protocols.split(',')) {
  await measurePubSub(
    {
      seed: values.seed,
      nodes: Number(values.nodes),
      protocol: protocols[name]!,
      groups: values.groups.split(',').map(Number),
      publications: Number(values.publications),
      ...(values.churn !== undefined && {
        churn: { medianMinutes: Number(values.churn), shape: 0.6 },
      }),
    },
    ({ group, ratio, payload, control, bytes, latency, joining }) => {
      const [p50, p95, p99] = latency.map((ms) => ms.toFixed(0));
      console.log(
        `| ${name} | ${values.nodes} | ${values.churn ?? '–'} | ${group} | ${(ratio * 100).toFixed(2)} % | ${payload.toFixed(2)} | ${control.toFixed(2)} | ${(payload + control).toFixed(2)} | ${bytes.toFixed(0)} | ${p50} | ${p95} | ${p99} | ${joining.toFixed(0)} |`,
      );
    },
  );
}
