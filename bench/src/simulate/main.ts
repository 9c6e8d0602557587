import { UsageError, simulate } from './command.js';

try {
  await simulate(process.argv.slice(2), (line) => console.log(line));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
