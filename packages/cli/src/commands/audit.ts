import { readFile, writeFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { CliError } from '../cli-error.js';
import { type Context, withRenter } from '../context.js';
import { printable, table } from '../output.js';
import { parseRemotePath } from '../remote-path.js';
import { parseDuration } from '../units.js';
import { startVisitingNode } from '../visiting-node.js';

async function read(file: string): Promise<string> {
  if (file === '-') return text(process.stdin);
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EACCES') throw error;
    throw new CliError('CLI_SOURCE', `${file} can't be read (${error.code})`);
  });
}

/** `granary audit-kit` */
export async function auditKit(
  context: Context,
  remote: string,
  file: string,
  options: { valid: string },
): Promise<void> {
  const { output } = context;
  const path = parseRemotePath(remote);
  await withRenter(context, async (renter) => {
    const kit = await renter.auditKit(path, parseDuration(options.valid));
    const json = `${JSON.stringify(kit)}\n`;
    if (file === '-') process.stdout.write(json);
    else {
      await writeFile(file, json, { flag: 'wx', mode: 0o600 }).catch(
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'EEXIST') throw new CliError('CLI_EXISTS', `${file} is there already`);
          throw error;
        },
      );
    }
    if (file === '-') return;
    output.result({ ...path, file, audits: kit.audits.length });
    output.line(`${file} has ${kit.audits.length} questions, good for ${options.valid}.`);
  });
}

/** `granary audit` */
export async function audit(context: Context, file: string): Promise<void> {
  const { parseAuditKit, runAuditKit } = await import('@granary/renter');
  const { output, config, signal } = context;
  const kit = parseAuditKit(await read(file));
  const node = await startVisitingNode(context);
  try {
    await node.join(config.bootstrap ?? [], { signal });
    const counts = { held: 0, failed: 0, unanswered: 0 };
    for await (const result of runAuditKit(node, kit, signal)) {
      counts[result.verdict] += 1;
      const own = kit.audits.find(({ request }) => request.body.contract === result.contract);
      output.result({ ...result, proof: { ...own, answer: result.answer } });
      output.line(
        `${result.verdict.padEnd(10)}  farmer ${result.farmer}  contract ${result.contract.slice(0, 16)}  ${printable(result.reason)}`,
      );
    }
    output.line(
      `${counts.held} shards are held, ${counts.failed} are not, ${counts.unanswered} got no answer.`,
    );
    if (counts.failed > 0) {
      throw new CliError('CLI_AT_RISK', `${counts.failed} farmers do not hold their shard`);
    }
  } finally {
    await node.stop();
  }
}

/** `granary judge` */
export async function judge(context: Context, file: string): Promise<void> {
  const { judgeAudit } = await import('@granary/protocol');
  const { output } = context;
  const lines = (await read(file)).split('\n').filter((line) => line.trim() !== '');
  const rows: string[][] = [['verdict', 'farmer', 'contract']];
  for (const [i, line] of lines.entries()) {
    let value: { proof?: unknown; contract?: { terms?: { farmer?: string } } };
    try {
      value = JSON.parse(line) as typeof value;
    } catch {
      throw new CliError('CLI_SOURCE', `${file}, line ${i + 1}: it is not JSON`);
    }
    const proof = (value.proof ?? value) as Parameters<typeof judgeAudit>[0];
    const verdict = judgeAudit(proof);
    const { terms } = proof.contract as { terms: { farmer: string; shardHash: string } };
    output.result({ verdict, farmer: terms.farmer, shard: terms.shardHash });
    rows.push([verdict, terms.farmer, terms.shardHash.slice(0, 16)]);
  }
  output.line(table(rows));
}
