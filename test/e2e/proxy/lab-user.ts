import { join } from 'node:path';
import type { Finished, LabHost, LabProcess } from '../nat-lab/index.js';
import { GRANARY } from '../support/granary.js';

/** Somebody on a machine of the lab who uses the built command, as a user does. */
export class LabUser {
  constructor(
    readonly host: LabHost,
    /** Home and data of all nodes of this user. */
    readonly directory: string,
    private readonly env: Readonly<Record<string, string>> = {},
  ) {}

  private get environment(): Record<string, string> {
    return {
      GRANARY_HOME: join(this.directory, 'home'),
      GRANARY_BOOTSTRAP: '',
      GRANARY_DIVERSITY: 'prefer',
      ...this.env,
    };
  }

  /** Run `granary` to its end. */
  granary(...args: string[]): Promise<Finished> {
    return this.host.run(process.execPath, [GRANARY, ...args], {
      env: this.environment,
      timeoutMs: 120_000,
    });
  }

  /** Run `granary`, which has to succeed: what it printed. */
  async must(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.granary(...args);
    if (code !== 0) throw new Error(`granary ${args.join(' ')} ended with ${code}: ${stderr}`);
    return stdout;
  }

  /** Start a farmer, and wait until it says that it is ready. */
  async farm(name: string, ...args: string[]): Promise<LabProcess> {
    const farmer = this.host.start(
      process.execPath,
      [GRANARY, 'farm', '--json', '--data', join(this.directory, name), ...args],
      { env: this.environment },
    );
    await farmer.printed(/"event":"ready"/, 60_000);
    return farmer;
  }
}
