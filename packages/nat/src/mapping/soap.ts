import { NatError } from '../errors.js';
import { type GatewayResponse, askGateway } from './gateway-http.js';
import type { IgdService } from './igd-description.js';
import { type XmlElement, child, descendant, parseXml, textOf } from './xml.js';

/** The most bytes of an answer to an action. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** That the router answered an action with an error of UPnP's. */
export class UpnpFault extends NatError {
  constructor(
    /** Such as 718, ConflictInMappingEntry. */
    readonly fault: number,
    action: string,
    description: string,
  ) {
    super(
      'NAT_REFUSED',
      `the router refuses ${action} by UPnP: ${printable(description)} (error ${fault})`,
    );
  }
}

/**
 * Have a router do something: UPnP Device Architecture 2.0 section 3.
 *
 * @returns the element of the answer, whose children are the results
 * @throws UpnpFault; NatError NAT_BAD_ANSWER, NAT_TOO_LARGE, NAT_NO_ANSWER; and the signal's reason.
 */
export async function invoke(
  gateway: string,
  service: IgdService,
  action: string,
  args: readonly (readonly [string, string | number])[],
  signal: AbortSignal,
): Promise<XmlElement> {
  const inner = args
    .map(([name, value]) => `<${name}>${escaped(String(value))}</${name}>`)
    .join('');
  const response = await askGateway({
    gateway,
    url: service.controlUrl,
    method: 'POST',
    headers: {
      'content-type': 'text/xml; charset="utf-8"',
      soapaction: `"${service.type}#${action}"`,
    },
    body:
      '<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
      's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
      `<u:${action} xmlns:u="${service.type}">${inner}</u:${action}></s:Body></s:Envelope>\r\n`,
    maxBytes: MAX_ANSWER_BYTES,
    signal,
  });
  return readAnswer(response, action);
}

/** The result of an action. @throws UpnpFault, NatError NAT_BAD_ANSWER, NAT_TOO_LARGE. */
export function readAnswer({ status, body }: GatewayResponse, action: string): XmlElement {
  if (status !== 200 && status !== 500) {
    throw new NatError('NAT_BAD_ANSWER', `the router answers ${action} with status ${status}`);
  }
  const envelope = parseXml(body);
  const soap = envelope.name === 'Envelope' ? child(envelope, 'Body') : undefined;
  const fault = child(soap, 'Fault');
  if (fault !== undefined) {
    const error = descendant(fault, 'UPnPError');
    const code = Number(textOf(error, 'errorCode'));
    throw new UpnpFault(
      Number.isInteger(code) ? code : 0,
      action,
      textOf(error, 'errorDescription') || 'it does not say why',
    );
  }
  const answer = child(soap, `${action}Response`);
  if (answer === undefined || status !== 200) {
    throw new NatError('NAT_BAD_ANSWER', `the router does not answer ${action}`);
  }
  return answer;
}

function escaped(text: string): string {
  return text.replace(/[<>&"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** Text of a router that goes to logs and terminals. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 120);
}
