/** What every policy does, when it last ran and how it went. Shows no row values and no personal data. */
import { connection } from 'next/server';
import { type Cursor, readProgress } from '@/lib/engine/run/checkpoint';
import { type RecentRun, recentRuns } from '@/lib/engine/run/record';
import type { Policy } from '@/lib/policies/contract';
import { inWords } from '@/lib/policies/in-words';
import { nextRun } from '@/lib/policies/next-run';
import { services } from '@/lib/services';

export default async function StatusPage() {
  await connection();
  const { reading, redis, policies, settings, clock } = services();
  const now = clock();
  const names = policies.map((p) => p.name);
  const [runs, progress] = await Promise.all([
    recentRuns(reading, 1).catch(() => null),
    readProgress(redis, names).catch(() => null),
  ]);
  return (
    <main>
      <h1>Lapse</h1>
      <p>
        {settings.dryRun
          ? `Nothing is deleted here: every run is a dry run (${settings.dryRunBecause}).`
          : 'Production: runs delete.'}{' '}
        Times are UTC.
      </p>
      {runs === null && <p role="alert">The database does not answer, so no runs are shown.</p>}
      {progress === null && (
        <p role="alert">Redis does not answer: no live progress, and no run will start.</p>
      )}
      <table>
        <caption>Policies and their last runs</caption>
        <thead>
          <tr>
            <th scope="col">Policy</th>
            <th scope="col">What goes</th>
            <th scope="col">Schedule</th>
            <th scope="col">Last run</th>
            <th scope="col">Outcome</th>
            <th scope="col">Deleted</th>
            <th scope="col">Kept</th>
            <th scope="col">Next run</th>
          </tr>
        </thead>
        <tbody>
          {policies.map((policy) => (
            <PolicyRow
              key={policy.name}
              policy={policy}
              next={nextRun(policy.schedule.run, now)}
              run={runs?.find((r) => r.policy === policy.name)}
              live={progress?.get(policy.name)}
            />
          ))}
        </tbody>
      </table>
      <section aria-labelledby="stop">
        <h2 id="stop">How to stop it</h2>
        <p>
          In the database, as its owner or as an operator of <code>/api/control</code>. It takes effect at the
          next batch, about a tenth of a second later:
        </p>
        <pre>{stopStatements(names[0] ?? 'name-of-a-policy')}</pre>
      </section>
    </main>
  );
}

const stopStatements = (policy: string): string => `select * from retention.stop_all('your name', 'why');

-- or one policy only
select * from retention.pause_policy('your name', 'why', '${policy}');`;

/** An instant to the minute, as people read it. */
const minute = (instant: string): string => instant.slice(0, 16).replace('T', ' ');

function PolicyRow(props: {
  policy: Policy;
  next: Date | null;
  run: RecentRun | undefined;
  live: { running: boolean; cursor: Cursor | null } | undefined;
}) {
  const { policy, next, run, live } = props;
  const kept = Object.entries(run?.kept ?? {}).filter(([, n]) => n > 0);
  return (
    <tr>
      <th scope="row">{policy.name}</th>
      <td>{inWords(policy).join('; ')}</td>
      <td>
        <code>{policy.schedule.run}</code>
      </td>
      <td>{run ? `${minute(run.started_at)}${run.mode === 'dry_run' ? ' (dry run)' : ''}` : 'never'}</td>
      <td className={run?.outcome ?? undefined}>
        {live?.running
          ? `running: processed ${live.cursor?.processed ?? 0}/${live.cursor?.total ?? '?'}`
          : run
            ? `${run.outcome ?? 'lost'}${run.reason ? ` (${run.reason})` : ''}`
            : ''}
      </td>
      <td className="number">{run?.deleted.toLocaleString('en') ?? ''}</td>
      <td>{kept.map(([why, n]) => `${n} ${why.replaceAll('_', ' ')}`).join(', ')}</td>
      <td>{next ? <time dateTime={next.toISOString()}>{minute(next.toISOString())}</time> : 'never'}</td>
    </tr>
  );
}
