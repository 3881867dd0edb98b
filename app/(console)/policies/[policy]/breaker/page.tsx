/** The breaker of a policy: how often it failed, when it is tried again, and a way to try it now. */
import type { Metadata } from 'next';
import { readBreaker } from '@/lib/engine/guard/breaker';
import { policyNamed } from '@/lib/http/console/policy';
import { reading } from '@/lib/http/console/reading';
import { countOf, spanOf } from '@/lib/http/console/words';
import { Facts, ForWhoMay, orNotFound, Reason } from '../../../parts/deciding';
import { Confirm } from '../../../parts/forms';
import { Page, Section } from '../../../parts/frame';
import { Part } from '../../../parts/notes';
import { shown } from '../../../shown';
import { visit } from '../../../visit';

export const metadata: Metadata = { title: 'Breaker' };

export default shown(async function Breaker({
  params,
  searchParams,
}: PageProps<'/policies/[policy]/breaker'>) {
  const { policy } = await params;
  const v = await visit(`/policies/${policy}/breaker`, searchParams);
  const { name } = await orNotFound(Promise.resolve().then(() => policyNamed(v.services, policy)));
  const found = await reading(v.services, 'The breaker', () => readBreaker(v.services.redis, name));
  return (
    <Page title={`Breaker of ${name}`} said={v.said} asOf={v.now}>
      <Section id="breaker" title="State">
        <Part of={found}>
          {({ open, failures, secondsLeft }) => (
            <>
              <Facts
                of={{
                  State: open ? '▲ Open: no run begins' : '✓ Closed',
                  'Failed in a row': countOf(failures),
                  'Next try': open ? `in ${spanOf(secondsLeft)}` : null,
                }}
              />
              {open && (
                <ForWhoMay visit={v} needs="operate">
                  <Confirm
                    id="close-breaker"
                    action="/acts/close-breaker"
                    values={{ policy: name }}
                    consequences={[
                      'The failures are forgotten, and the next run tries again.',
                      'Each batch that fails is rolled back: nothing is half done.',
                    ]}
                    yes="Close the breaker"
                    no={{ text: 'Leave it open', href: `/policies/${name}` }}
                    danger={false}
                    said={v.said}
                  >
                    {(said) => <Reason said={said} />}
                  </Confirm>
                </ForWhoMay>
              )}
            </>
          )}
        </Part>
      </Section>
    </Page>
  );
});
