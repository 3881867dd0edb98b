/**
 * A restore of the database brings erased people back, and the ledger erases them again: a dump, erasures, the old dump in a new
 * database under the same store, one call of the cron, and a look at every column of every table that asks nothing of Lapse. One of
 * the people has rows in every table, some of which name them by an address only, and forty files.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { verify } from '../../../operators/audit/verify';
import { eraseSubject } from '../../../rights/erase';
import { erasuresJob } from '../../../rights/job';
import { createServices, type Services } from '../../../services';
import { type ProofCloud, proofCloud } from './cloud';
import type { Part, Proved } from './part';
import { plant } from './person';
import { scan } from './scan';

const [ROWS, PEOPLE] = [1_000, 5];
const [LIVE, DUMP, RESTORED] = ['proof', 'proof_dump', 'proof_restored'];

export const replay: Part = {
  name: 'replay',
  async prove(say) {
    const env = {
      LAPSE_RIGHTS_KEY: randomBytes(32).toString('hex'),
      LAPSE_NAMESPACE: `proof-${randomUUID()}`,
      CRON_SECRET: randomBytes(24).toString('hex'),
    };
    const c = await proofCloud({ rows: ROWS, env });
    try {
      return await afterRestoring(c, env, say);
    } finally {
      await c.end();
    }
  },
};

async function afterRestoring(
  c: ProofCloud,
  env: Record<string, string>,
  say: (line: string) => void,
): Promise<Proved> {
  const problems: string[] = [];
  const planted = await plant(c.owner, c.cloud.blob);
  const people = [planted.id, ...(await busiest(c.owner))];
  // A database with sessions cannot be copied.
  await c.owner.end();
  await copyOf(c, DUMP, LIVE);
  const retaining = new Set<string>();
  for (const person of people) {
    const { outcome, message, ledger, retained } = await eraseSubject(c.services, order(c.services, person));
    for (const { table } of retained) retaining.add(table);
    if (outcome !== 'succeeded' || ledger !== 'kept')
      problems.push(`an erasure ended ${outcome} (${ledger}): ${message}`);
  }
  const erased = await naming(c, LIVE, people);
  await copyOf(c, RESTORED, DUMP);
  const services = {
    ...createServices({ ...c.cloud.env(RESTORED), ...env, VERCEL_ENV: 'production', LOG_LEVEL: 'silent' }),
    clock: c.services.clock,
  };
  const before = await naming(c, RESTORED, people);
  const marksLeft = () =>
    asOwner(c, RESTORED, async (owner) => {
      const { found, foundIn } = await scan(owner, planted.marks);
      return found - foundIn([...retaining]);
    });
  const marksBack = await marksLeft();
  say(`${people.length} people were erased; a dump from before that has ${before} rows that name them`);
  const call = { correlationId: 'proof', dryRun: false, trigger: 'cron' as const };
  const { replay: found, message } = await erasuresJob(services, { ...call, deadline: soon(services) });
  say(`${message}; ${found?.cameBack ?? 0} of them had come back`);
  const after = await naming(c, RESTORED, people);
  if (found?.cameBack !== people.length)
    problems.push(`${found?.cameBack ?? 0} of ${people.length} were taken up`);
  if (before <= erased) problems.push('the dump brought nobody back: there was nothing to show');
  if (after !== erased) problems.push(`${after} rows name them, ${erased} when they had been erased first`);
  const marks = await marksLeft();
  say(`${marksBack} values with a mark of the planted person came back, ${marks} are left`);
  if (marksBack === 0 || marks > 0)
    problems.push(`${marks} values of ${marksBack} of the planted person are left`);
  const files = c.stored().filter((path) => planted.files.includes(path)).length;
  if (files > 0) problems.push(`${files} files of the planted person are in the store`);
  const { problems: broken } = await verify(services.database);
  problems.push(...broken.map((p) => `the chain: ${p.message}`));
  const again = await erasuresJob(services, { ...call, deadline: soon(services) });
  if (again.replay !== null) problems.push('the next call still takes the database for restored');
  const figures = {
    people: people.length,
    back: before - erased,
    left: after - erased,
    marksBack,
    marksLeft: marks,
  };
  return { figures, problems };
}

const soon = (services: Services): Date => new Date(services.clock().getTime() + 240_000);

const order = (services: Services, id: string) => ({
  subject: { scope: 'user' as const, id },
  reason: 'proof',
  actor: 'ann',
  correlationId: 'proof',
  deadline: soon(services),
  dryRun: false,
});

async function busiest(owner: Client): Promise<string[]> {
  const { rows } = await owner.query<{ id: string }>(
    'select user_id::text as id from quiz_responses where user_id is not null group by 1 order by count(*) desc, 1 limit $1',
    [PEOPLE],
  );
  return rows.map((r) => r.id);
}

async function asOwner<T>(
  { cloud }: ProofCloud,
  database: string,
  work: (owner: Client) => Promise<T>,
): Promise<T> {
  const client = new Client(cloud.ownerUrl(database));
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Without the sessions that the local cloud keeps for Lapse. */
async function copyOf({ cloud }: ProofCloud, name: string, template: string): Promise<void> {
  await fetch(`${cloud.url}/local-cloud/sessions?database=${template}`, { method: 'DELETE' });
  await cloud.createDatabase(name, template);
}

/** Rows of any table of the business in which any of these ids stands, in whatever column. */
const naming = (c: ProofCloud, database: string, people: readonly string[]): Promise<number> =>
  asOwner(c, database, async (owner) => {
    const { rows: tables } = await owner.query<{ t: string }>(
      `select c.oid::regclass::text as t from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace`,
    );
    const counts = tables.map(({ t }) => `(select count(*) from ${t} t where t::text ~ $1)`);
    const { rows } = await owner.query<{ n: number }>(`select (${counts.join(' + ')})::int as n`, [
      people.join('|'),
    ]);
    return rows[0]!.n;
  });
