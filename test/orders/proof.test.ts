import { afterEach, expect, it } from 'vitest';
import { proveOrders, randomFrom } from '@/lib/dev/cli/orders-trial';
import { type OrderWorld, orderWorld } from '@/test/support/orders';

let w: OrderWorld;
afterEach(() => w.stop());

it('orders are paid back once each through lost answers, inner errors, late confirmations, pruned keys and two watches', async () => {
  w = await orderWorld();
  const { services, stripe, db } = w;
  const proof = await proveOrders({ services, stripe, sql: db.sql, orders: 100, random: randomFrom(7) });
  expect(proof).toMatchObject({ refundedTwice: 0, missed: 0, wronglyRefunded: 0 });
  expect(Math.min(proof.lostAnswers, proof.lateConfirmations, proof.keysPruned)).toBeGreaterThan(5);
});
