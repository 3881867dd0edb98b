/** A hundred requests that holds keep open do not keep the hundred and first back: each is tried once before any is tried again. */
import { randomUUID } from 'node:crypto';
import { erasuresJob } from '../../../rights/job';
import { requestErasure } from '../../../rights/store';
import { proofCloud } from './cloud';
import type { Part } from './part';

const HELD = 100;
/** A call of the function has five minutes. */
const CALL_MS = 280_000;

export const fair: Part = {
  name: 'fair',
  async prove(say) {
    const problems: string[] = [];
    const c = await proofCloud();
    try {
      const { services, owner } = c;
      const person = async () => {
        const id = randomUUID();
        await owner.query('insert into users (id, email, name) values ($1, $2, $3)', [
          id,
          `${id}@example.com`,
          'A Person',
        ]);
        return id;
      };
      // Asked for, and left to the scheduled call.
      const ask = (id: string) =>
        requestErasure(
          services.deciding,
          { scope: 'user', id },
          { reason: 'proof', by: { actor: 'ann' }, found: 1, identifiers: {} },
        );
      for (let n = 0; n < HELD; n += 1) {
        const id = await person();
        await owner.query(
          "insert into retention.hold (scope, subject, reason, placed_by) values ('user', $1, 'matter 7', 'bob')",
          [id],
        );
        await ask(id);
      }
      const free = await person();
      await ask(free);
      let calls = 0;
      const isThere = async () =>
        (await owner.query('select 1 from users where id = $1', [free])).rowCount === 1;
      while (calls < HELD && (await isThere())) {
        calls += 1;
        const deadline = new Date(services.clock().getTime() + CALL_MS);
        await erasuresJob(services, { correlationId: 'proof', trigger: 'cron', dryRun: false, deadline });
      }
      const { rows } = await owner.query<{ state: string; n: number }>(
        'select state, count(*)::int as n from retention.erasure group by 1 order by 1',
      );
      const open = rows.find((r) => r.state === 'open')?.n ?? 0;
      say(`${open} requests stay open because of holds; the other one was done by call ${calls} of the cron`);
      if (open !== HELD) problems.push(`${open} of ${HELD} held requests are open`);
      if (await isThere()) problems.push('the request that nothing holds was not carried out');
      // Whatever a call gets through: in the order of asking no one is tried twice before it.
      if (calls > HELD / 20) problems.push(`it took ${calls} calls`);
      return { figures: { held: open, calls }, problems };
    } finally {
      await c.end();
    }
  },
};
