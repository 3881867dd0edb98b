/** A step of the rollout taken by a person, without waiting for a clean run. */
import type { Metadata } from 'next';
import { STEPS, stepOf } from '@/lib/engine/guard/rollout';
import { guardStop } from '@/lib/http/console/approval';
import { countOf, manyOf } from '@/lib/http/console/words';
import { Facts, ForWhoMay, orNotFound, Reason } from '../../../parts/deciding';
import { Confirm, TypedName } from '../../../parts/forms';
import { Page, Section } from '../../../parts/frame';
import { shown } from '../../../shown';
import { visit } from '../../../visit';

export const metadata: Metadata = { title: 'Rollout' };

export default shown(async function Rollout({
  params,
  searchParams,
}: PageProps<'/policies/[policy]/rollout'>) {
  const { policy } = await params;
  const v = await visit(`/policies/${policy}/rollout`, searchParams);
  const { step, cleanRuns, version } = await orNotFound(guardStop(v.services, policy, v.who.name));
  const next = stepOf(cleanRuns + 1);
  const much = next === null ? 'all that has expired' : `up to ${manyOf(next, 'row')}`;
  return (
    <Page
      title={step === null ? `${policy} is rolled out` : `Let ${policy} delete ${much} a run?`}
      said={v.said}
      asOf={v.now}
    >
      <Section id="step" title="Rollout">
        <Facts
          of={{
            Now: step === null ? 'all that has expired' : `up to ${manyOf(step, 'row')} a run`,
            'Clean runs': step === null ? countOf(cleanRuns) : `${countOf(cleanRuns)} of ${STEPS.length}`,
            Version: <code>{version.slice(0, 12)}</code>,
          }}
        />
        {step === null && <p>There is no step left to take.</p>}
      </Section>
      {step !== null && (
        <Section id="raise" title="Raise">
          <ForWhoMay visit={v} needs="approve">
            <Confirm
              id="raise-rollout"
              action="/acts/raise-rollout"
              values={{ policy, version, seen: String(cleanRuns) }}
              consequences={[
                `The next run of ${policy} may delete ${much}, instead of ${manyOf(step, 'row')}.`,
                'A clean run takes the same step by itself.',
              ]}
              yes={next === null ? 'Raise to all' : `Raise to ${manyOf(next, 'row')}`}
              no={{ text: `Stay at ${manyOf(step, 'row')}`, href: `/policies/${policy}` }}
              said={v.said}
            >
              {(said) => (
                <>
                  <TypedName name="confirm" value={policy} said={said} />
                  <Reason said={said} />
                </>
              )}
            </Confirm>
          </ForWhoMay>
        </Section>
      )}
    </Page>
  );
});
