/** A draft with a person's answers in it: the policy as it will be written. */
import { existsSync } from 'node:fs';
import type { Policy, PolicyInput } from '../../policies/contract';
import type { NewPolicy } from '../write-policies';
import { type Answered, inWords, secondsOf } from './answers';
import type { Clock } from './clocks';
import type { Draft } from './draft';
import type { Surveyed } from './survey';

export function compose(
  table: Surveyed,
  { input, clock }: Draft,
  answer: Answered,
  taken: readonly Schedule[],
): NewPolicy {
  const seconds = secondsOf(answer.keep);
  const { quality, scope, dependants, files, ...rest } = input;
  return {
    input: {
      ...rest,
      name: answer.name ?? freeName(input.name),
      description: answer.description ?? describe(table, clock, seconds),
      justification: answer.reason,
      ground: answer.ground,
      schedule: answer.schedule ? { run: answer.schedule } : freeSchedule(taken),
      ...(answer.where ? { where: answer.where } : {}),
      rules: [{ label: 'all', keepFor: { seconds } }],
      ...(scope ? { scope } : {}),
      ...(dependants ? { dependants } : {}),
      ...(files ? { files } : {}),
      ...(quality ? { quality } : {}),
    },
    remarks: remarksOf(clock, answer, input),
  };
}

function describe({ label }: Surveyed, { column, meaning }: Clock, seconds: number): string {
  const after = inWords(seconds);
  const when: Record<Clock['meaning'], string> = {
    deleted: `that were marked as deleted, ${after} later`,
    expires: `${after} after they expired`,
    ended: `${after} after they were over (${column})`,
    happened: `${after} after they happened`,
    made: `${after} after they were made`,
    changed: `${after} after their last change`,
    unknown: `${after} after ${column}`,
  };
  return `Rows of ${label}${meaning === 'deleted' ? ' ' : ', '}${when[meaning]}.`;
}

function remarksOf(
  clock: Clock,
  { along }: Answered,
  { table, dependants = [] }: Draft['input'],
): NonNullable<NewPolicy['remarks']> {
  const hangsOnItself = dependants.some(
    (d) => d.table.name === table.name && d.table.schema === table.schema,
  );
  const empty =
    clock.nullable && !clock.otherwise && !clock.in
      ? `${clock.column} is empty until a row is over: such rows stay`
      : '';
  const ahead = clock.meaning === 'expires' ? `${clock.column} lies ahead of now while a row is good` : '';
  const zone = /^(timestamp|date)$/.test(clock.type)
    ? `${clock.column} has no zone of its own; another one than UTC: zone`
    : '';
  const said = [zone, ahead].filter(Boolean).join('; ');
  return {
    ...(said === '' ? {} : { clock: said }),
    dependants: along
      ? `All that refers to a row goes with it, but what lets go of it (keep, set-null)${hangsOnItself ? '; a row of this table only once it may go, too' : ''}.`
      : 'As the foreign keys have it: delete goes with the row, keep lets go of it, block keeps it here.',
    ...(empty === '' ? {} : { quality: `${empty}.` }),
  };
}

/** Another file of this name may be there: the register, or a job of Lapse's own. */
function freeName(name: string): string {
  const isTaken = (n: string) => existsSync(`lib/policies/${n}.ts`) || existsSync(`app/api/cron/${n}`);
  return isTaken(name) ? `${name}-rows` : name;
}

export type Schedule = Policy['schedule'] | PolicyInput['schedule'];

/** From two o'clock on, five minutes apart, so that no two begin at once; the second entry ends what the first left. */
function freeSchedule(taken: readonly Schedule[]): PolicyInput['schedule'] {
  const used = new Set(taken.flatMap((s) => [s.run, s.resume]));
  for (let minute = 125; minute < 1440; minute += 5) {
    const schedule = { run: cron(minute), resume: cron((minute + 30) % 1440) };
    if (!used.has(schedule.run) && !used.has(schedule.resume)) return schedule;
  }
  return { run: '0 2 * * *' };
}

const cron = (minute: number): string => `${minute % 60} ${Math.floor(minute / 60)} * * *`;
