/** `npm run proof:orders [-- --orders N] [--seed N]`: the order watch against every accident a provider has. */
import { parseArgs } from 'node:util';
import { Pool } from 'pg';
import { createServices } from '../../services';
import { startLocalCloud } from '../local-cloud';
import { createDatabase, dropDatabase } from '../local-cloud/roles';
import { startLocalStripe } from '../local-cloud/stripe';
import { migrate } from '../migrate';
import { proveOrders, randomFrom } from './orders-trial';

const { values } = parseArgs({
  options: { orders: { type: 'string', default: '10000' }, seed: { type: 'string', default: '1' } },
});
const DATABASE = 'lapse_orders_proof';

const cloud = await startLocalCloud({ folder: '.lapse/orders-proof', durable: false });
const stripe = await startLocalStripe();
const owner = cloud.ownerUrl('postgres');
await dropDatabase(owner, DATABASE);
await createDatabase(owner, DATABASE);
await migrate(cloud.ownerUrl(DATABASE), { sets: ['retention', 'example'], direction: 'up' });
const pool = new Pool({ connectionString: cloud.ownerUrl(DATABASE), max: 2 });
const started = Date.now();
try {
  const services = createServices({
    ...cloud.env(DATABASE),
    CRON_SECRET: 'a-secret-of-the-proof',
    VERCEL_ENV: 'production',
    LOG_LEVEL: 'silent',
    STRIPE_SECRET_KEY: 'sk_test_local0000',
    STRIPE_API_BASE: stripe.url,
  });
  const proof = await proveOrders({
    services,
    stripe,
    sql: async (text, params = []) => (await pool.query(text, [...params])).rows,
    orders: Number(values.orders),
    random: randomFrom(Number(values.seed)),
  });
  console.log(JSON.stringify({ ...proof, seconds: Math.round((Date.now() - started) / 100) / 10 }, null, 2));
  if (proof.refundedTwice + proof.missed + proof.wronglyRefunded > 0) process.exitCode = 1;
} finally {
  await pool.end();
  await dropDatabase(owner, DATABASE);
  await stripe.stop();
  await cloud.stop();
}
