import { type BridgeClient, type BridgeCredentials, createBridgeClient } from '../client/index.js';
import type { KeyScope } from '../s3/access/key-scope.js';
import type { TestBridge } from '../s3/bridge.test-support.js';
import { type Credentials } from '../s3/bridge.test-support.js';
import { checkedFetch } from './checked-fetch.test-support.js';

/** A password that is long enough. */
export const PASSWORD = 'correct horse battery';

/** A client whose answers are checked against the description. */
export function clientOf(bridge: TestBridge, credentials?: BridgeCredentials): BridgeClient {
  return createBridgeClient({
    url: bridge.bridge.url,
    ...(credentials !== undefined && { credentials }),
    fetch: checkedFetch,
  });
}

/** An admin with a key that is limited so. */
export async function addAdmin(
  bridge: TestBridge,
  scope: KeyScope | null = null,
): Promise<{ id: string; credentials: Credentials }> {
  const admin = await bridge.user(`admin ${Math.random()}`, scope);
  await bridge.metadata.changeUser(admin.id, { admin: true });
  return admin;
}

/** The status and code that something was refused with. */
export async function refusal(
  result: Promise<{ error?: unknown; response: Response }>,
): Promise<string> {
  const { error, response } = await result;
  return `${response.status} ${(error as { code?: string } | undefined)?.code ?? ''}`.trim();
}
