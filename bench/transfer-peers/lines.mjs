// A process of the benchmark takes a JSON line and answers with one, in turn.
import { createInterface } from 'node:readline';

/** @param {(request: any) => Promise<unknown>} answer */
export async function serve(answer, ready) {
  console.log(JSON.stringify(ready));
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answer(JSON.parse(line))));
  }
}
