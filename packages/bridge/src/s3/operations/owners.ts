import type { AclOwner } from '../access/acl.js';
import type { Call } from '../call.js';
import { type XmlElement, xml } from '../xml-writer.js';

/** The owner of a bucket or version as ACLs and listings show it. */
export async function ownerOf(call: Call, userId: string): Promise<AclOwner> {
  if (call.caller?.userId === userId) return { id: userId, name: call.caller.userName };
  const user = await call.metadata.user(userId);
  return { id: userId, name: user?.name ?? userId };
}

/** Owners of many versions; each is asked for once. */
export async function ownersOf(
  call: Call,
  userIds: Iterable<string>,
): Promise<ReadonlyMap<string, AclOwner>> {
  const owners = new Map<string, AclOwner>();
  for (const id of new Set(userIds)) owners.set(id, await ownerOf(call, id));
  return owners;
}

/** An owner as an element. */
export function ownerElement({ id, name }: AclOwner, element = 'Owner'): XmlElement {
  return xml(element, [xml('ID', id), xml('DisplayName', name)]);
}
