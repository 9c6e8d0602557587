import type { z } from 'zod';

/** A set of parameters. */
export type ParameterSchema = z.ZodObject;

/** What an operation of the REST API takes and answers: the description and the checks are made of it. */
export interface RouteSpec {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  /** Behind {@link API_PREFIX}, with `{name}` for a parameter that is one segment. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  /** Who may ask: anybody, somebody, or an admin. What somebody may do with what is asked besides. */
  readonly for: 'anybody' | 'user' | 'admin';
  readonly params?: ParameterSchema;
  readonly query?: ParameterSchema;
  /** Header fields that mean something, for the description. */
  readonly headers?: ParameterSchema;
  /** A JSON document, or bytes as they are. */
  readonly body?: z.ZodType | 'bytes';
  readonly status: 200 | 201 | 204;
  /** A JSON document, bytes, or nothing. */
  readonly answer?: z.ZodType | 'bytes';
  /** Header fields of the answer, for the description. */
  readonly answerHeaders?: ParameterSchema;
  /** Further statuses that are no errors. */
  readonly also?: Readonly<Record<string, string>>;
  /** Statuses of errors besides those that everything may answer with. */
  readonly errors: readonly number[];
}

type In<S> = S extends z.ZodType ? z.output<S> : undefined;

/** What a handler is given of a request. */
export interface RouteInput<R extends RouteSpec> {
  readonly params: In<R['params']>;
  readonly query: In<R['query']>;
  /** A document that was checked; undefined where bytes are sent. */
  readonly body: R['body'] extends z.ZodType ? z.output<R['body']> : undefined;
}

/** What a handler answers with: what is described, and nothing else. */
export type RouteOutput<R extends RouteSpec> = R['answer'] extends z.ZodType
  ? z.input<R['answer']>
  : R['answer'] extends 'bytes'
    ? RawAnswer
    : R['answerHeaders'] extends z.ZodType
      ? RawAnswer
      : void;

/** An answer that is not a document. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: AsyncIterable<Uint8Array>;
}

/** Where the REST API begins. No bucket can have this name: those begin with a letter or digit. */
export const API_PREFIX = '/_granary/v1';
