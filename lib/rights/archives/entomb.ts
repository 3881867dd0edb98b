/**
 * What an erasure does to archives: from here on no restore brings back what is the subject's, and the archive does not name
 * them any more. What lies in the store goes when the archive is written anew: at once while there is time, else by the daily
 * look. A hold on the subject keeps it, and the request open.
 */
import { z } from 'zod';
import { hashOf } from '../../files/archive/manifest';
import { oneRow, query } from '../../platform/query';
import { askOne } from '../../platform/session';
import { sql } from '../../platform/sql';
import type { Services } from '../../services';
import type { Subject } from '../subject';
import { rewriteArchives } from './rewrite';

const count = z.coerce.number();
/** Archives with rows of the subject, how many of those rows are dead from now on, and how many a hold keeps. */
const Entombed = z.object({ archives: count, dead: count, held: count });
type Entombed = z.infer<typeof Entombed>;

export const NOTHING_ARCHIVED: Entombed = { archives: 0, dead: 0, held: 0 };

const Dead = z.object({ archives: count, rows: count });
/** Archives that held rows of the subject, and how many of those rows still lie in the store. */
export type Dead = z.infer<typeof Dead>;

export const deadInArchives = ({ database }: Services, { scope, id }: Subject): Promise<Dead> =>
  askOne(
    database,
    query(
      sql`select count(*) as archives, coalesce(sum(s.rows), 0) as rows
        from retention.archive_subject s join retention.archive a on a.id = s.archive and a.state = 'kept'
        where s.scope = ${scope} and s.subject = ${hashOf(`${scope}:${id}`)} and s.erased_at is not null`,
      oneRow(Dead),
    ),
    { statementMs: 10_000, readOnly: true },
  );

export async function eraseFromArchives(
  services: Services,
  erasure: string,
  inTime: () => boolean,
): Promise<Entombed> {
  const entombing = query(
    sql`select archives::text, dead::text, held::text from retention.entomb(${erasure}::uuid)`,
    oneRow(Entombed),
  );
  const found = await askOne(services.database, entombing, { statementMs: 10_000 });
  if (found.archives > 0) await rewriteArchives(services, inTime);
  return found;
}
