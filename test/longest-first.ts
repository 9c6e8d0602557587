import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * About how many seconds test files take, of those that take long. What is begun last is what others wait for, and a
 * fresh clone knows nothing of earlier runs: vitest would go by the size of the files.
 */
const SECONDS: Readonly<Record<string, number>> = {
  'test/e2e/cli.test.ts': 198,
  'test/e2e/web-app.test.ts': 96,
  'test/e2e/bridge.test.ts': 95,
  'test/e2e/crash.test.ts': 93,
  'test/e2e/reachability.test.ts': 93,
  'test/e2e/fuzz.test.ts': 92,
  'test/e2e/survival.test.ts': 82,
  'test/e2e/nat-lab/tunnels.test.ts': 75,
  'test/e2e/bridge-database.test.ts': 69,
  'test/e2e/care.test.ts': 66,
  'test/e2e/payment-commands.test.ts': 54,
  'test/e2e/proxy/proxy.test.ts': 50,
  'test/e2e/bridge-crash.test.ts': 47,
  'test/e2e/browser-renter.test.ts': 46,
  'test/e2e/payments.test.ts': 34,
  'test/e2e/nat-lab/paths.test.ts': 33,
  'test/e2e/dashboard.test.ts': 25,
  'test/e2e/command-faults.test.ts': 22,
  'test/e2e/liars.test.ts': 22,
  'test/e2e/port-mapping.test.ts': 18,
  'bench/src/simulate/command.test.ts': 35,
  'packages/renter/src/care.test.ts': 28,
  'packages/renter/src/sharing.test.ts': 27,
  'packages/kad/src/transport-conformance.test.ts': 27,
  'packages/payments/src/evm.test.ts': 21,
  'packages/renter/src/access-grants.test.ts': 17,
};

/** Begins with the files that take longest. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const seconds = ({ moduleId }: TestSpecification) =>
      SECONDS[relative(this.ctx.config.root, moduleId)] ?? 0;
    const sorted = await super.sort(files);
    return sorted.sort((a, b) => seconds(b) - seconds(a));
  }
}
