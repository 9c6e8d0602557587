import { KadError } from './errors.js';
import type { IncomingRequest } from './rpc-channel.js';

/** What a method's handler is told besides its parameters. */
export type MethodContext = Pick<IncomingRequest, 'sender' | 'remote' | 'signal'>;

/** Answers one method. What it returns goes out as JSON; a KadError's code and message go out too. */
export type MethodHandler = (params: unknown, context: MethodContext) => Promise<unknown>;

/** Stands before every method: passes the request on with `next`, or answers or refuses it itself. */
export type RequestMiddleware = (
  request: IncomingRequest,
  next: (request: IncomingRequest) => Promise<unknown>,
) => Promise<unknown>;

/** The methods of a node, and the middleware before them. */
export class Dispatcher {
  private readonly methods = new Map<string, MethodHandler>();
  private readonly middleware: RequestMiddleware[] = [];

  /** Answer a method. @throws KadError KAD_BAD_PARAMETERS when the name is taken. */
  register(name: string, handler: MethodHandler): void {
    if (this.methods.has(name)) {
      throw new KadError('KAD_BAD_PARAMETERS', `the method ${name} is registered already`);
    }
    this.methods.set(name, handler);
  }

  /** Put middleware behind what is there: what was added first sees a request first. */
  use(middleware: RequestMiddleware): void {
    this.middleware.push(middleware);
  }

  /** @throws KadError KAD_METHOD_NOT_FOUND, and whatever the handler or the middleware throws. */
  handle(request: IncomingRequest): Promise<unknown> {
    return this.step(0, request);
  }

  private step(at: number, request: IncomingRequest): Promise<unknown> {
    const middleware = this.middleware[at];
    if (middleware !== undefined) {
      return middleware(request, (passed) => this.step(at + 1, passed));
    }
    const handler = this.methods.get(request.method);
    if (handler === undefined) {
      const { method } = request;
      return Promise.reject(
        new KadError('KAD_METHOD_NOT_FOUND', `there is no method ${method.slice(0, 64)}`),
      );
    }
    return handler(request.params, request);
  }
}
