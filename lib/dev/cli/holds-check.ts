/**
 * `npm run holds:check`: what each hold, extension and override in force in DATABASE_URL keeps now. Ends with
 * code 1 when one keeps nothing although rows have its value in another spelling. Changes nothing.
 */
import { everythingInForce, inWords } from '../../operators/in-force';
import { connect } from '../../platform/database';
import { policies } from '../../policies';

const { DATABASE_URL: url, NEON_HTTP_ENDPOINT: endpoint } = process.env;
if (!url) {
  console.error('set DATABASE_URL to the database to look at; the role of the app is enough');
  process.exit(2);
}
try {
  const counts = { some: 0, unknown: 0, none: 0, misspelled: 0 };
  for await (const found of everythingInForce({
    database: connect(url, endpoint, process.env.NEON_HTTP_TOKEN),
    policies,
  })) {
    counts[found.matches] += 1;
    if (found.matches !== 'some') console.log(inWords(found));
  }
  console.log(
    `${counts.some} keep rows, ${counts.none} match nothing now, ${counts.unknown} not counted, ${counts.misspelled} misspelled`,
  );
  process.exitCode = counts.misspelled === 0 ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
