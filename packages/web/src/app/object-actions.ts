import type { ObjectSummary } from '@granary/renter';
import type { MenuItem } from './menu.js';

/** What can be done with an object from its menu, and who does it. */
export interface ObjectDoers {
  open(object: ObjectSummary): void;
  download(object: ObjectSummary): void;
  share(object: ObjectSummary): void;
  details(object: ObjectSummary): void;
  remove(object: ObjectSummary): void;
}

/** The menu of an object, in its order. What else can be done with an object is added here. */
export function actionsOf(object: ObjectSummary, doers: ObjectDoers): MenuItem[] {
  return [
    { text: 'Open', run: () => doers.open(object) },
    { text: 'Download', run: () => doers.download(object) },
    { text: 'Share', run: () => doers.share(object) },
    { text: 'Details', run: () => doers.details(object) },
    { text: 'Delete', run: () => doers.remove(object), danger: true },
  ];
}
