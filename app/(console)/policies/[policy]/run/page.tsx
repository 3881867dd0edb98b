/** A run at once: what it may delete, and the name of the policy, typed. */
import type { Metadata } from 'next';
import { isPreview } from '@/lib/http/console/place';
import { policiesNow } from '@/lib/http/console/policies';
import { reading } from '@/lib/http/console/reading';
import { manyOf } from '@/lib/http/console/words';
import { Confirm, Field, TypedName } from '../../../parts/forms';
import { Page, Section } from '../../../parts/frame';
import { Empty, Part } from '../../../parts/notes';
import { nothingHere, shown } from '../../../shown';
import { visit } from '../../../visit';

export const metadata: Metadata = { title: 'Run now' };

export default shown(async function RunNowPage({
  params,
  searchParams,
}: PageProps<'/policies/[policy]/run'>) {
  const { policy: name } = await params;
  const v = await visit(`/policies/${name}/run`, searchParams, 'operate');
  const { services: s } = v;
  const policy = s.policies.find((p) => p.name === name);
  if (!policy) nothingHere();
  const now = await reading(s, 'The state of this policy', () => policiesNow(s, [policy]));
  const back = `/policies/${name}`;
  return (
    <Page title={`Run ${name} now?`} said={v.said} asOf={v.now}>
      <Section id="run-now-section" title="What it does">
        {isPreview(s.settings) ? (
          <Empty>
            On a preview deployment every run is a dry run: start one from <a href={back}>{name}</a>.
          </Empty>
        ) : (
          <Part of={now}>
            {({ policies: [p] }) => {
              const rows = p?.backlog ? manyOf(p.backlog.waiting, 'row') : 'all that has expired';
              const dry = s.settings.dryRun;
              return (
                <Confirm
                  id="run-now"
                  action="/acts/run-now"
                  values={{ policy: name }}
                  consequences={[
                    dry
                      ? `Every run here is a dry run (${s.settings.dryRunBecause}): nothing is deleted.`
                      : `It deletes up to ${rows} now: what is past its date and nothing keeps.`,
                    'The guard, the rollout, holds and extensions count as in every run; it stops after a few minutes at the latest and the next run continues.',
                    'What has been deleted comes back only from an archive or a backup.',
                  ]}
                  yes={dry ? `Run ${name} now` : `Delete up to ${rows} now`}
                  no={{ text: 'Do not run it', href: back }}
                  danger={!dry}
                  said={v.said}
                >
                  {(said) => (
                    <>
                      <TypedName name="confirm" value={name} said={said} />
                      <Field name="reason" label="Why" said={said} maxLength={500} />
                    </>
                  )}
                </Confirm>
              );
            }}
          </Part>
        )}
      </Section>
    </Page>
  );
});
