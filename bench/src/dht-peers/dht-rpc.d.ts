/** The part of dht-rpc that the benchmark uses; the package brings no types. */
declare module 'dht-rpc' {
  interface Reply {
    readonly from: { readonly id: Uint8Array };
  }
  interface Query {
    readonly closestReplies: readonly Reply[];
    readonly successes: number;
    readonly errors: number;
    finished(): Promise<void>;
  }
  interface Options {
    readonly host?: string;
    readonly port?: number;
    readonly bootstrap?: readonly { readonly host: string; readonly port: number }[];
    readonly ephemeral?: boolean;
    readonly firewalled?: boolean;
  }
  export default class DHT {
    constructor(options: Options);
    static bootstrapper(port: number, host: string, options: Options): DHT;
    readonly id: Uint8Array | null;
    fullyBootstrapped(): Promise<void>;
    address(): { readonly host: string; readonly port: number } | null;
    findNode(target: Uint8Array): Query;
    destroy(): Promise<void>;
  }
}
