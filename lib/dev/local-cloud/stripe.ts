/**
 * A local endpoint that speaks Stripe's protocol for refunds, for the official library: form bodies, Stripe's
 * error shape, idempotency keys that repeat the first answer (errors of its own included), refuse other
 * parameters and are forgotten by `pruneKeys`, lists with cursors. Money is counted: no payment refunds more
 * than it took.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface StripeRefund {
  id: string;
  object: 'refund';
  amount: number;
  currency: string;
  payment_intent: string;
  status: 'pending' | 'succeeded' | 'failed' | 'canceled';
  metadata: Record<string, string>;
  created: number;
}

interface StripePayment {
  readonly amount: number;
  readonly currency: string;
  /** As charges in dispute do: refunds are refused with this code. */
  readonly refuse?: string;
}

export interface StripeRequest {
  readonly method: string;
  readonly path: string;
  readonly key: string | null;
  readonly payment: string | null;
  /** 1 for the first request. */
  readonly n: number;
}

type StripeFault =
  /** Nothing happens; not stored under the key (rate limits, bad keys, a proxy before Stripe). */
  | { readonly kind: 'refuse'; readonly status: number; readonly code?: string }
  /** Stripe fails in the middle: the error is stored under the key; `done` says whether the refund exists. */
  | { readonly kind: 'error'; readonly done: boolean }
  | { readonly kind: 'drop-before' }
  | { readonly kind: 'drop-after' }
  /** Made, and to be confirmed later. */
  | { readonly kind: 'pending' };

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export interface LocalStripe {
  readonly url: string;
  readonly refunds: Map<string, StripeRefund>;
  readonly requests: () => number;
  pay(id: string, payment: StripePayment): void;
  setFaults(faults: ((request: StripeRequest) => StripeFault | undefined) | undefined): void;
  /** Forgets every idempotency key, as Stripe does after a day. */
  pruneKeys(): void;
  /** Ends refunds that wait for it. */
  confirm(status: 'succeeded' | 'failed', which?: (refund: StripeRefund) => boolean): number;
  /** Lists of refunds are empty, as they may be for seconds after one was made. */
  hideRefunds(hidden: boolean): void;
  /** A refund made in the dashboard, unknown to Lapse. */
  refundElsewhere(payment: string, amount: number): StripeRefund;
  /** Waits for `work` at each creation, between looking and doing: for races. */
  onCreate(work: ((payment: string) => Promise<void>) | undefined): void;
  stop(): Promise<void>;
}

export async function startLocalStripe(): Promise<LocalStripe> {
  const payments = new Map<string, StripePayment>();
  const refunds = new Map<string, StripeRefund>();
  const byPayment = new Map<string, StripeRefund[]>();
  const keys = new Map<string, { parameters: string; answer: Answer }>();
  const underWay = new Set<string>();
  let faults: ((request: StripeRequest) => StripeFault | undefined) | undefined;
  let between: ((payment: string) => Promise<void>) | undefined;
  let hidden = false;
  let n = 0;

  function make(
    payment: string,
    amount: number,
    status: StripeRefund['status'],
    metadata = {},
  ): StripeRefund {
    const refund: StripeRefund = {
      id: `re_${randomUUID().replaceAll('-', '')}`,
      object: 'refund',
      amount,
      currency: payments.get(payment)?.currency ?? 'eur',
      payment_intent: payment,
      status,
      metadata,
      created: Math.floor(Date.now() / 1000),
    };
    refunds.set(refund.id, refund);
    byPayment.set(payment, [refund, ...(byPayment.get(payment) ?? [])]);
    return refund;
  }

  async function create(form: URLSearchParams, fault: StripeFault | undefined): Promise<Answer> {
    const id = form.get('payment_intent') ?? '';
    const payment = payments.get(id);
    if (!payment) return problem(404, 'resource_missing', 'No such payment_intent');
    if (payment.refuse) return problem(400, payment.refuse, 'This charge cannot be refunded');
    await between?.(id);
    const standing = (byPayment.get(id) ?? [])
      .filter((r) => r.status === 'succeeded' || r.status === 'pending')
      .reduce((sum, r) => sum + r.amount, 0);
    const amount = Number(form.get('amount') ?? payment.amount - standing);
    if (standing >= payment.amount) {
      return problem(400, 'charge_already_refunded', 'The charge has already been refunded');
    }
    if (!Number.isInteger(amount) || amount <= 0 || standing + amount > payment.amount) {
      return problem(400, 'amount_too_large', 'Refund amount is greater than unrefunded amount');
    }
    if (fault?.kind === 'error' && !fault.done)
      return problem(500, undefined, 'Something went wrong', 'api_error');
    const metadata = Object.fromEntries(
      [...form].flatMap(([k, v]) => {
        const field = /^metadata\[(.+)\]$/.exec(k)?.[1];
        return field ? [[field, v]] : [];
      }),
    );
    const refund = make(id, amount, fault?.kind === 'pending' ? 'pending' : 'succeeded', metadata);
    if (fault?.kind === 'error') return problem(500, undefined, 'Something went wrong', 'api_error');
    return { status: 200, body: { ...refund } };
  }

  function paymentIntent(id: string): Answer {
    const payment = payments.get(id);
    if (!payment) return problem(404, 'resource_missing', 'No such payment_intent');
    const { amount, currency } = payment;
    return {
      status: 200,
      body: { id, object: 'payment_intent', amount, amount_received: amount, currency, status: 'succeeded' },
    };
  }

  function list(query: URLSearchParams): Answer {
    const all = (hidden ? undefined : byPayment.get(query.get('payment_intent') ?? '')) ?? [];
    const from = query.get('starting_after');
    const start = from ? all.findIndex((r) => r.id === from) + 1 : 0;
    const limit = Number(query.get('limit') ?? 10);
    const data = all.slice(start, start + limit);
    return {
      status: 200,
      body: { object: 'list', url: '/v1/refunds', has_more: start + limit < all.length, data },
    };
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://stripe.local');
    const form = new URLSearchParams(await bodyOf(request));
    const key = header(request, 'idempotency-key');
    n += 1;
    const payment = form.get('payment_intent') ?? url.searchParams.get('payment_intent');
    const fault = faults?.({ method: request.method ?? '', path: url.pathname, key, payment, n });
    if (fault?.kind === 'drop-before') return void request.socket.destroy();
    const send = (a: Answer, replayed = false) => {
      if (fault?.kind === 'drop-after') return void request.socket.destroy();
      const head: Record<string, string> = {
        'content-type': 'application/json',
        'request-id': `req_${n}`,
        ...(replayed ? { 'idempotent-replayed': 'true' } : {}),
      };
      response.writeHead(a.status, head).end(JSON.stringify(a.body));
    };
    if (!/^Bearer (sk|rk)_/.test(request.headers.authorization ?? '')) {
      return send(problem(401, undefined, 'Invalid API Key provided'));
    }
    if (fault?.kind === 'refuse') {
      const type = fault.status >= 500 ? 'api_error' : 'invalid_request_error';
      return send(problem(fault.status, fault.code, 'Refused by the test', type));
    }
    const one = /^\/v1\/refunds\/(re_\w+)$/.exec(url.pathname)?.[1];
    if (request.method === 'GET' && one) {
      const refund = refunds.get(one);
      return send(
        refund ? { status: 200, body: refund } : problem(404, 'resource_missing', 'No such refund'),
      );
    }
    const paid = /^\/v1\/payment_intents\/([^/]+)$/.exec(url.pathname)?.[1];
    if (request.method === 'GET' && paid) return send(paymentIntent(decodeURIComponent(paid)));
    if (request.method === 'GET' && url.pathname === '/v1/refunds') return send(list(url.searchParams));
    if (request.method !== 'POST' || url.pathname !== '/v1/refunds') {
      return send(problem(404, undefined, `Unrecognized request URL (${request.method}: ${url.pathname})`));
    }
    const parameters = [...form]
      .map(([k, v]) => `${k}=${v}`)
      .sort()
      .join('&');
    const known = key === null ? undefined : keys.get(key);
    if (known && known.parameters !== parameters) {
      return send(
        problem(400, undefined, 'Keys can only be used with the same parameters', 'idempotency_error'),
      );
    }
    if (known) return send(known.answer, true);
    if (key !== null && underWay.has(key)) {
      return send(
        problem(
          409,
          'idempotency_key_in_use',
          'Another request with this key is under way',
          'idempotency_error',
        ),
      );
    }
    if (key !== null) underWay.add(key);
    const made = await create(form, fault).finally(() => key !== null && underWay.delete(key));
    // Only requests that began to execute are remembered; a validation that failed is not.
    if (key !== null && (made.status < 400 || made.status >= 500))
      keys.set(key, { parameters, answer: made });
    send(made);
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    refunds,
    requests: () => n,
    pay: (id, payment) => void payments.set(id, payment),
    setFaults: (given) => {
      faults = given;
    },
    pruneKeys: () => keys.clear(),
    confirm: (status, which = () => true) => {
      const waiting = [...refunds.values()].filter((r) => r.status === 'pending' && which(r));
      for (const r of waiting) r.status = status;
      return waiting.length;
    },
    hideRefunds: (to) => {
      hidden = to;
    },
    refundElsewhere: (payment, amount) => make(payment, amount, 'succeeded'),
    onCreate: (work) => {
      between = work;
    },
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

const header = (request: IncomingMessage, name: string): string | null => {
  const value = request.headers[name];
  return typeof value === 'string' ? value : null;
};

const problem = (
  status: number,
  code: string | undefined,
  message: string,
  type = status === 429 ? 'rate_limit_error' : 'invalid_request_error',
): Answer => ({ status, body: { error: { type, message, ...(code ? { code } : {}) } } });

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}
