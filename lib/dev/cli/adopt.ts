/**
 * `npm run adopt [-- --table sessions --keep 30d --reason … --ground …]… [-- --list | --yes | --apply]`: see lib/dev/adopt.
 * The database is that of `--database`, else of MIGRATION_DATABASE_URL, else of DATABASE_URL. Ends with code 1 when
 * nothing was written because of an answer, with code 2 when it could not look.
 */
import { createInterface } from 'node:readline/promises';
import { adopt } from '../adopt/adopt';
import { type Flags, OPTIONS, readFlags } from '../adopt/answers';
import { NothingWritten } from '../adopt/terminal';

process.exitCode = await main();

async function main(): Promise<number> {
  let flags: Flags;
  try {
    flags = readFlags(process.argv.slice(2));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    console.error(`the options are ${OPTIONS.map((name) => `--${name}`).join(', ')}: docs/ADOPT.md`);
    return 2;
  }
  const url = flags.database ?? process.env.MIGRATION_DATABASE_URL ?? process.env.DATABASE_URL;
  if (!url) {
    console.error(
      'set MIGRATION_DATABASE_URL, or say --database postgresql://owner:password@host/name: only --apply changes it',
    );
    return 2;
  }
  const lines =
    process.stdin.isTTY && !flags.yes
      ? createInterface({ input: process.stdin, output: process.stdout })
      : null;
  try {
    return await adopt(url, flags, {
      say: (line) => console.log(line),
      ask: lines ? (question) => lines.question(question) : undefined,
    });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return error instanceof NothingWritten ? 1 : 2;
  } finally {
    lines?.close();
  }
}
