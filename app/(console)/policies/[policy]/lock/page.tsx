/** The lock of a policy: whether a run has it, and a way to take it from one that has died. */
import type { Metadata } from 'next';
import { leaseSeconds } from '@/lib/engine/run/checkpoint';
import { policyNamed } from '@/lib/http/console/policy';
import { reading } from '@/lib/http/console/reading';
import { spanOf } from '@/lib/http/console/words';
import { Facts, ForWhoMay, orNotFound, Reason } from '../../../parts/deciding';
import { Confirm, TypedName } from '../../../parts/forms';
import { Page, Section } from '../../../parts/frame';
import { Part } from '../../../parts/notes';
import { shown } from '../../../shown';
import { visit } from '../../../visit';

export const metadata: Metadata = { title: 'Lock' };

export default shown(async function Lock({ params, searchParams }: PageProps<'/policies/[policy]/lock'>) {
  const { policy } = await params;
  const v = await visit(`/policies/${policy}/lock`, searchParams);
  const { name } = await orNotFound(Promise.resolve().then(() => policyNamed(v.services, policy)));
  const found = await reading(v.services, 'The lock', () => leaseSeconds(v.services.redis, name));
  return (
    <Page title={`Lock of ${name}`} said={v.said} asOf={v.now}>
      <Section id="lock" title="State">
        <Part of={found}>
          {(left) =>
            left > 0 ? (
              <Facts
                of={{
                  State: '▶ A run has it',
                  'Lease ends': `in ${spanOf(left)}, unless a batch renews it`,
                  'To stop the run': `Pause ${name}. A lock is released only after its lease has ended.`,
                }}
              />
            ) : (
              <>
                <Facts of={{ State: '○ No run has it: its lease has ended' }} />
                <ForWhoMay visit={v} needs="operate">
                  <Confirm
                    id="release-lock"
                    action="/acts/release-lock"
                    values={{ policy: name }}
                    consequences={[
                      'Moves the fence: the old runner can delete nothing more, whatever it still believes.',
                      'The next run takes over where it stopped, as it would without this.',
                    ]}
                    yes="Release the lock"
                    no={{ text: 'Leave it', href: `/policies/${name}` }}
                    said={v.said}
                  >
                    {(said) => (
                      <>
                        <TypedName name="confirm" value={name} said={said} />
                        <Reason said={said} />
                      </>
                    )}
                  </Confirm>
                </ForWhoMay>
              </>
            )
          }
        </Part>
      </Section>
    </Page>
  );
});
