/** `npm run crons [-- --hobby]`: writes the crons of vercel.json from the schedules of the policies. */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { policies } from '../../policies';
import { vercelJson } from '../../policies/crons';
import { orderReview } from '../../policies/order-review';

const FILE = 'vercel.json';
const { values } = parseArgs({ options: { hobby: { type: 'boolean', default: false } } });
const current = JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, unknown>;
const next = vercelJson({ policies, orderReview }, values.hobby ? 'hobby' : 'pro', current);
writeFileSync(FILE, `${JSON.stringify(next, null, 2)}\n`);
console.log(`${FILE}: ${next.crons.length} crons (${values.hobby ? 'Hobby: one run a day each' : 'Pro'})`);
