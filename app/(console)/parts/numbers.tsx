/** The five numbers: each can be bad, and each leads to its cure. */
import type { ReactNode } from 'react';
import type { Waiting } from '@/lib/http/console/attention';
import type { Numbers } from '@/lib/http/console/numbers';
import type { PolicyNow } from '@/lib/http/console/policies';
import type { Tone } from '@/lib/http/console/sentences';
import { agoOf, bytesOf, countOf, manyOf, spanOf } from '@/lib/http/console/words';

const MARKS: Readonly<Record<Tone, string>> = { run: '▶', good: '✓', wait: '▲', bad: '✕', rest: '○' };
const EDGES: Readonly<Record<Tone, string>> = {
  run: 'border-run',
  good: 'border-good',
  wait: 'border-warn',
  bad: 'border-bad',
  rest: 'border-line',
};

function Figure(props: { name: string; value: ReactNode; note: ReactNode; tone: Tone; href: string }) {
  const { name, value, note, tone, href } = props;
  return (
    <a
      href={href}
      className={`grid min-w-0 grid-cols-1 content-start gap-0.5 rounded-lg border border-l-4 bg-surface p-3 text-ink wrap-anywhere hover:bg-raised ${EDGES[tone]}`}
    >
      <span className="text-sm text-quiet">{name}</span>
      <span className="text-xl font-semibold tabular-nums sm:text-2xl">
        <span aria-hidden="true" className="text-base">
          {MARKS[tone]}{' '}
        </span>
        {value}
      </span>
      <span className="text-sm text-quiet">{note}</span>
    </a>
  );
}

/** As many runs that each leave more than the one before are no chance any more. */
const GROWING = 3;
const isGrowing = ({ backlog }: PolicyNow): boolean => (backlog?.growing ?? 0) >= GROWING;

/** Late by more than its schedule explains: lib/watch/backlog/forecast.ts. */
const isBehind = ({ backlog }: PolicyNow): boolean => backlog !== null && backlog.verdict !== 'clear';

export function PastItsDate({ policies }: { policies: readonly PolicyNow[] }) {
  const isMeasured = policies.length === 0 || policies.some((p) => p.backlog !== null);
  return isMeasured ? (
    <Measured policies={policies} />
  ) : (
    <Figure
      name={PAST}
      value="not measured"
      note="the cron backlog does it each hour"
      tone="rest"
      href="/?by=lateness#policies"
    />
  );
}
const PAST = 'Past its date, still here';

function Measured({ policies }: { policies: readonly PolicyNow[] }) {
  const waiting = policies.reduce((n, p) => n + (p.backlog?.waiting ?? 0), 0);
  const behind = policies.filter(isBehind).sort((a, b) => b.backlog!.seconds - a.backlog!.seconds);
  const never = behind.some((p) => p.backlog?.verdict === 'never');
  const [worst] = behind;
  const growing = policies.filter(isGrowing).sort((a, b) => b.backlog!.growing - a.backlog!.growing)[0];
  const grows =
    growing && `${growing.policy.name} left more after each of its last ${growing.backlog!.growing} runs`;
  return (
    <Figure
      name={PAST}
      value={countOf(waiting)}
      note={
        worst && (never || !grows)
          ? `${worst.policy.name} is ${spanOf(worst.backlog!.seconds)} late${never ? ' and does not catch up' : ''}`
          : (grows ?? 'nothing is late')
      }
      tone={never || grows ? 'bad' : worst ? 'wait' : 'good'}
      href="/?by=lateness#policies"
    />
  );
}

export function DeletedInADay({ of: { rows, bytes, unusual, complete } }: { of: Numbers['gone'] }) {
  return (
    <Figure
      name="Deleted in 24 h"
      value={`${complete ? '' : 'at least '}${countOf(rows)}`}
      note={unusual ? 'five times more or less than the day before' : `${bytesOf(bytes)} of files`}
      tone={unusual ? 'wait' : rows > 0 ? 'good' : 'rest'}
      href="/reports"
    />
  );
}

export function KeptOnPurpose({ of: { rows, holds, extensions, late } }: { of: Numbers['kept'] }) {
  return (
    <Figure
      name="Kept on purpose"
      value={countOf(rows)}
      note={
        late > 0
          ? `${manyOf(late, 'hold')} past ${late === 1 ? 'its' : 'their'} day of review`
          : `${manyOf(holds, 'hold')}, ${manyOf(extensions, 'extension')}`
      }
      tone={late > 0 ? 'wait' : holds > 0 ? 'good' : 'rest'}
      href="/holds"
    />
  );
}

export function Proof({ of: { verifiedAt, broken, entries }, now }: { of: Numbers['proof']; now: Date }) {
  return (
    <Figure
      name="Proof"
      value={broken ? 'broken' : verifiedAt ? 'unbroken' : 'not verified'}
      note={
        verifiedAt
          ? `${manyOf(entries, 'entry', 'entries')}, verified ${agoOf(verifiedAt, now)}`
          : 'audit-seal verifies it each night'
      }
      tone={broken ? 'bad' : verifiedAt ? 'good' : 'wait'}
      href="/audit"
    />
  );
}

export function Waits({ waiting, now }: { waiting: readonly Waiting[]; now: Date }) {
  const oldest = waiting.map(({ since }) => since).sort((a, b) => a.getTime() - b.getTime())[0];
  return (
    <Figure
      name="Waits for a person"
      value={countOf(waiting.length)}
      note={oldest ? `the oldest for ${spanOf((now.getTime() - oldest.getTime()) / 1000)}` : 'nothing waits'}
      tone={waiting.length > 0 ? 'bad' : 'good'}
      href="/attention"
    />
  );
}
