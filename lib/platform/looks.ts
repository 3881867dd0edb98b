/**
 * When each job must ask PostgreSQL next, known without asking it, so that an idle database is not woken. One hash in
 * Redis, `<prefix>looks`, without an end:
 *   next:<job>   `<looked> <until> <basis>`: what its last look found holds until then; 0: each call looks
 *   awake:<job>  who may create work for the job says so before it does: a look that began before this instant counts
 *                for nothing; `awake:*` is for all
 *   since        when this hash was made: whoever knows that something was in it before knows that it was lost
 *   came:<name>  the latest that came, as JSON (lib/watch/quiet.ts), and `watched` what the watch saw last
 * Everything fails toward looking: what is missing, malformed, of another basis, older than the safety look or not to
 * be had is a look. So losing Redis costs requests, never a promise.
 */
import type { RedisScripts } from './redis';

/** Instances' clocks differ by less than this. */
const SKEW_MS = 60_000;
/** No function works longer than half an hour: an announcement further ahead is none. */
const LONGEST_MS = 3_600_000;

/** Every script begins with it: a key that is no hash, which no version of Lapse ever wrote, is removed. */
const READ_ALL = `local all = redis.pcall('hgetall', KEYS[1])
if all.err then
  redis.call('del', KEYS[1])
  all = {}
end
local of = {}
for i = 1, #all, 2 do of[all[i]] = all[i + 1] end
local function instant(text) return text and tonumber(string.match(text, '^%d+$')) end
local function field(name) return of[name] or '' end
`;

/** Returns 1 and keeps the note where the job needs no look; then the whole hash. */
const ARRIVE = `${READ_ALL}local looked, til, basis = string.match(field('next:' .. ARGV[1]), '^(%d+) (%d+) (%S+)$')
local now, idle = tonumber(ARGV[2]), 0
local function isAwake(name)
  if not of[name] then return false end
  local awake = instant(of[name])
  return not awake or tonumber(looked) <= awake
end
if ARGV[5] ~= '' and looked and basis == ARGV[3] and now < tonumber(til) and now < tonumber(looked) + tonumber(ARGV[4])
  and now >= tonumber(looked) - ${SKEW_MS} and not isAwake('awake:' .. ARGV[1]) and not isAwake('awake:*') then
  redis.call('hset', KEYS[1], 'came:' .. ARGV[1], ARGV[5])
  idle = 1
end
local since = instant(of.since)
if not since or since > now + ${SKEW_MS} then
  redis.call('hset', KEYS[1], 'since', ARGV[2])
  all[#all + 1] = 'since'
  all[#all + 1] = ARGV[2]
end
table.insert(all, 1, tostring(idle))
return all`;

/** Of two looks that end together, the one that began later counts. What no maker of work can have announced is removed. */
const SETTLE = `${READ_ALL}local before, til = string.match(field('next:' .. ARGV[1]), '^(%d+) (%d+) ')
for _, name in ipairs({'awake:' .. ARGV[1], 'awake:*'}) do
  local awake = instant(of[name])
  if of[name] and (not awake or awake > tonumber(ARGV[2]) + ${LONGEST_MS}) then redis.call('hdel', KEYS[1], name) end
end
if ARGV[5] ~= '' then redis.call('hset', KEYS[1], 'came:' .. ARGV[1], ARGV[5]) end
if ARGV[6] ~= '' then redis.call('hset', KEYS[1], 'watched', ARGV[6]) end
if before and tonumber(before) > tonumber(ARGV[2]) + ${SKEW_MS} then before = nil end
if before and tonumber(before) > tonumber(ARGV[2]) then return til == '0' and 0 or 1 end
redis.call('hset', KEYS[1], 'next:' .. ARGV[1], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
return 1`;

const ANNOUNCE = `${READ_ALL}for i = 2, #ARGV do
  local before = instant(of['awake:' .. ARGV[i]])
  if not before or before < tonumber(ARGV[1]) then redis.call('hset', KEYS[1], 'awake:' .. ARGV[i], ARGV[1]) end
end
return 1`;

const keyOf = (redis: RedisScripts): string[] => [`${redis.prefix}looks`];
const ms = (at: Date): string => String(at.getTime());

export interface Known {
  /** By field. */
  readonly fields: ReadonlyMap<string, string>;
  /** When what is known began to be kept. */
  readonly since: Date;
  /** The job that asked needs no look, and has been noted as having come. */
  readonly idle: boolean;
}

/** Of whoever comes: `note` is kept where no look is needed; without one nothing is decided. Null: Redis did not answer as expected. */
export async function arrive(
  redis: RedisScripts,
  job: string,
  at: { readonly now: Date; readonly basis: string; readonly safetySeconds: number; readonly note?: string },
): Promise<Known | null> {
  const args = [job, ms(at.now), at.basis, String(at.safetySeconds * 1000), at.note ?? ''];
  const answer = await redis.eval(ARRIVE, keyOf(redis), args).catch(() => null);
  if (!Array.isArray(answer) || answer.length % 2 === 0) return null;
  const [idle, ...pairs] = answer.map(String);
  const fields = new Map<string, string>();
  for (let i = 0; i < pairs.length; i += 2) fields.set(pairs[i]!, pairs[i + 1]!);
  if (idle === '1' && at.note) fields.set(`came:${job}`, at.note);
  return { fields, since: new Date(Number(fields.get('since'))), idle: idle === '1' };
}

/** What a look that began at `looked` found holds until `until`; null: the next call looks. False: that is not known now, so it looks. */
export async function settleLook(
  redis: RedisScripts,
  job: string,
  found: {
    readonly looked: Date;
    readonly until: Date | null;
    readonly basis: string;
    readonly note?: string;
    readonly watched?: string;
  },
): Promise<boolean> {
  const { looked, until, basis, note = '', watched = '' } = found;
  const args = [job, ms(looked), until ? ms(until) : '0', basis, note, watched];
  const stored = await redis.eval(SETTLE, keyOf(redis), args).catch(() => 0);
  return until !== null && Number(stored) === 1;
}

/** Who may answer for a while that work for every job has been created. */
export const EVERY_JOB = '*';

/**
 * Called before work is created for these jobs, with the instant by which its maker has ended: from then on each call
 * looks until one began after it. So a maker that dies at any point leaves nothing that waits unseen. False: Redis
 * did not take it, and what is created may wait for the safety look.
 */
export async function announceWork(
  redis: RedisScripts,
  jobs: readonly string[],
  until: Date,
): Promise<boolean> {
  const by = String(until.getTime() + SKEW_MS);
  const done = await redis.eval(ANNOUNCE, keyOf(redis), [by, ...jobs]).catch(() => 0);
  return Number(done) === 1;
}

/**
 * When this job looks next, by what Redis holds: the past where it is not known. The same law as the script's. `looked`:
 * null where only its own call can tell.
 */
export function dueOf(
  fields: ReadonlyMap<string, string>,
  job: string,
  at: { readonly now: Date; readonly basis: string; readonly safetySeconds: number },
): { readonly looked: Date | null; readonly due: Date } {
  const [, looked, until, basis] = /^(\d+) (\d+) (\S+)$/.exec(fields.get(`next:${job}`) ?? '') ?? [];
  const never = new Date(0);
  if (looked === undefined || until === '0') return { looked: null, due: never };
  const began = Number(looked);
  const isAwake = [job, EVERY_JOB].some((name) => {
    const awake = fields.get(`awake:${name}`);
    return awake !== undefined && !(/^\d+$/.test(awake) && began > Number(awake));
  });
  const isKnown = basis === at.basis && !isAwake && at.now.getTime() >= began - SKEW_MS;
  const due = isKnown ? new Date(Math.min(Number(until), began + at.safetySeconds * 1000)) : never;
  return { looked: isAwake ? null : new Date(began), due };
}
