/** What Lapse makes of Stripe's answers where no order's way shows it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { startLocalStripe } from '@/lib/dev/local-cloud/stripe';
import { stripeProvider } from '@/lib/orders/stripe';

let close: () => unknown = () => undefined;
afterEach(() => close());

it('an answer that is none of Stripe’s leaves open what was done, and is told by its class alone', async () => {
  const server = createServer((request, response) =>
    request
      .resume()
      .on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{"name":"Ann"}')),
  );
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  close = () => server.close();
  const { port } = server.address() as AddressInfo;
  const provider = stripeProvider('sk_test_local0000', `http://127.0.0.1:${port}`);
  await expect(provider.payment('pi_1')).rejects.toMatchObject({
    failure: 'unknown',
    reason: 'TypeError',
    message: 'the payment provider did not refund: TypeError',
  });
});

it('a payment with more refunds than are read is for a person; the last number that is read is read whole', async () => {
  const stripe = await startLocalStripe();
  close = () => stripe.stop();
  stripe.pay('pi_1', { amount: 5_000, currency: 'eur' });
  const provider = stripeProvider('sk_test_local0000', stripe.url);
  for (let n = 0; n < 999; n += 1) stripe.refundElsewhere('pi_1', 1);
  expect(await provider.ofPayment('pi_1')).toHaveLength(999);
  stripe.refundElsewhere('pi_1', 1);
  await expect(provider.ofPayment('pi_1')).rejects.toMatchObject({
    failure: 'refused',
    reason: 'too_many_refunds',
  });
});
