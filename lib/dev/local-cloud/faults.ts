/**
 * How tests break the network: a function looks at each request and may say what goes wrong with it. The
 * fault happens at the server, so the real client, its retries and its time limits are what is tested.
 */
export type Service = 'sql' | 'redis' | 'blob';

export interface FaultRequest {
  readonly service: Service;
  readonly method: string;
  /** Path and query below the service's own address, e.g. `/pipeline` or `/delete`. */
  readonly path: string;
  /** Parsed where it is JSON, a Buffer where it is a file's content. */
  readonly body: unknown;
  /** 1 for the first request to this service since the faults were set. */
  readonly n: number;
}

export type Fault =
  /** Answered in the service's own error shape; nothing is done. `retryAfter` in seconds. */
  | {
      readonly kind: 'refuse';
      readonly status: number;
      readonly code?: string;
      readonly message?: string;
      readonly retryAfter?: number;
    }
  /** The connection closes; nothing was done. */
  | { readonly kind: 'drop-before' }
  /** Done, but the answer is lost. */
  | { readonly kind: 'drop-after' }
  /** Everything is well, but late. */
  | { readonly kind: 'delay'; readonly ms: number };

export type Faults = (request: FaultRequest) => Fault | undefined;

/** Holds the current faults and numbers the requests of each service. */
export class FaultInjector {
  #faults: Faults | undefined;
  #counts = new Map<Service, number>();

  constructor(faults?: Faults) {
    this.#faults = faults;
  }

  /** Numbering starts again at 1; undefined makes everything well. */
  set(faults: Faults | undefined): void {
    this.#faults = faults;
    this.#counts.clear();
  }

  get active(): boolean {
    return this.#faults !== undefined;
  }

  next(request: Omit<FaultRequest, 'n'>): Fault | undefined {
    const n = (this.#counts.get(request.service) ?? 0) + 1;
    this.#counts.set(request.service, n);
    return this.#faults?.({ ...request, n });
  }
}
