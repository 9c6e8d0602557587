import { join } from 'node:path';
import { makeDirectory } from '@granary/kad';
import type { Diagnosis } from '@granary/nat';
import type { Context } from '../context.js';
import { CliError } from '../cli-error.js';
import { printable } from '../output.js';
import { parsePort } from '../ports.js';
import { protocolName } from '../reachability.js';

/** Options of `granary doctor`. */
export interface DoctorOptions {
  readonly host: string;
  readonly port: string;
}

/** `granary doctor`: how this machine is connected, what was tried, and what can be done. */
export async function doctor(context: Context, options: DoctorOptions): Promise<void> {
  const { advise, diagnose, explainNat, explainPorts } = await import('@granary/nat');
  const { config, dialer, home, logger, output, signal } = context;
  if (dialer !== undefined) {
    throw new CliError(
      'CLI_USAGE',
      'granary doctor looks at the connection itself, past any proxy, and would give away where you are: run it without --proxy',
    );
  }
  const directory = join(home, 'doctor');
  await makeDirectory(directory);
  const diagnosis = await diagnose({
    directory,
    host: options.host,
    port: parsePort(options.port),
    bootstrap: config.bootstrap ?? [],
    difficulty: config.difficulty ?? 0,
    logger,
    signal,
    onStep: (step) => output.note(`${step} …`),
  });
  const advice = advise(diagnosis);
  output.result({ ...diagnosis, explanation: explainNat(diagnosis.nat), advice });
  output.note('');
  for (const line of describe(diagnosis, explainNat(diagnosis.nat), explainPorts(diagnosis.ports)))
    output.line(printable(line));
  output.line('');
  output.line('What you can do:');
  for (const one of advice) output.line(`- ${printable(one)}`);
}

function describe(diagnosis: Diagnosis, nat: string, ports: string): string[] {
  const { localAddresses, gateway, port, mapping, trials, nodes } = diagnosis;
  const { networkError, observed, checks, reachable } = diagnosis;
  const lines = ['Your connection:', `  ${nat}`];
  if (ports !== '') lines.push(`  ${ports}`);
  lines.push(`  This machine: ${localAddresses.join(', ') || 'no address'}`);
  lines.push(`  Router: ${gateway?.address ?? 'none over IPv4'}`);
  lines.push(`  Seen by others as: ${observed.join(', ') || 'not known'}`);
  lines.push('', 'What was tried:');
  if (gateway === undefined) lines.push('  Mapping a port: there is no router to ask');
  for (const { protocol, mapping: granted, error } of trials) {
    const name = protocolName(protocol);
    lines.push(
      granted === undefined
        ? `  ${name}: no. ${sentence(error?.message ?? '')}`
        : `  ${name}: yes. Port ${granted.externalPort} of ${granted.externalAddress ?? 'an address that the router does not tell'}; removed again`,
    );
  }
  if (networkError !== undefined) lines.push(`  Other nodes: none. ${sentence(networkError)}`);
  else if (nodes === 0 && checks.length === 0) lines.push('  Other nodes: none were asked');
  for (const { address, reached, failed, silent } of checks) {
    const quiet = silent > 0 ? `; ${silent} could not say` : '';
    const which =
      mapping !== undefined && address.endsWith(`:${mapping.externalPort}`)
        ? ' (the port that the router maps)'
        : mapping !== undefined && address.endsWith(`:${port}`)
          ? ' (the port listened on, past the mapping)'
          : '';
    lines.push(
      `  Dialled back at ${address}${which}: ${reached} of ${reached + failed} got through${quiet}`,
    );
  }
  lines.push(
    '',
    reachable === undefined
      ? 'It is not known whether others can reach this machine.'
      : reachable
        ? 'Others can reach this machine.'
        : "Others can't reach this machine.",
  );
  return lines;
}

/** With a capital, and without what only a programmer reads. */
function sentence(text: string): string {
  const plain = text.replace(/^(PCP|NAT-PMP|UPnP): /, '');
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}
