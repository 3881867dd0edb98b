/**
 * What an erasure does to archives: from here on no restore brings back what is the subject's, and the archive does not name
 * them any more. What lies in the store goes when the archive is written anew: at once while there is time, else by the daily
 * look. A hold on the subject keeps it, and the request open.
 */
import { z } from 'zod';
import { oneRow, query } from '../../platform/query';
import { askOne } from '../../platform/session';
import { sql } from '../../platform/sql';
import type { Services } from '../../services';
import { rewriteArchives } from './rewrite';

const count = z.coerce.number();
/** Archives with rows of the subject, how many of those rows are dead from now on, and how many a hold keeps. */
const Entombed = z.object({ archives: count, dead: count, held: count });
type Entombed = z.infer<typeof Entombed>;

export const NOTHING_ARCHIVED: Entombed = { archives: 0, dead: 0, held: 0 };

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
