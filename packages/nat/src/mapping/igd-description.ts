import { NatError } from '../errors.js';
import { gatewayUrl } from './gateway-http.js';
import { type XmlElement, textOf } from './xml.js';

/** The service of a router that maps ports. */
export interface IgdService {
  /** WANIPConnection:1 or :2, or WANPPPConnection:1, as a URN. */
  readonly type: string;
  /** 2 when the service has AddAnyPortMapping. */
  readonly version: 1 | 2;
  readonly controlUrl: URL;
}

/** Services that map ports, the best first. */
const TYPES = [
  'urn:schemas-upnp-org:service:WANIPConnection:2',
  'urn:schemas-upnp-org:service:WANIPConnection:1',
  'urn:schemas-upnp-org:service:WANPPPConnection:1',
];
const MAX_SERVICES = 8;

/**
 * The services that map ports, from a router's description, the best first.
 *
 * @param location - where the description was; control URLs are relative to it
 * @throws NatError NAT_BAD_ANSWER when there is none, or none that is the router's own.
 */
export function servicesOf(root: XmlElement, location: URL, gateway: string): IgdService[] {
  const found: IgdService[] = [];
  let complaint: unknown;
  const visit = (element: XmlElement) => {
    for (const one of element.children) visit(one);
    if (element.name !== 'service') return;
    const type = textOf(element, 'serviceType');
    if (!TYPES.includes(type) || found.length >= MAX_SERVICES) return;
    try {
      // URLBase (IGD 1) may lead elsewhere; all routers serve control where the description is.
      const controlUrl = gatewayUrl(textOf(element, 'controlURL'), location, gateway);
      found.push({ type, version: type === TYPES[0] ? 2 : 1, controlUrl });
    } catch (error) {
      complaint = error;
    }
  };
  visit(root);
  if (found.length > 0) {
    return found.sort((a, b) => TYPES.indexOf(a.type) - TYPES.indexOf(b.type));
  }
  throw (
    complaint ??
    new NatError('NAT_BAD_ANSWER', 'the router has UPnP, but no service that maps ports')
  );
}
