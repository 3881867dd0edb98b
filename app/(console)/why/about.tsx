import type { OnRecord } from '@/lib/http/console/people';
import { Section } from '../parts/frame';
import { Empty } from '../parts/notes';
import { Time } from '../parts/time';

/** Requests, holds and messages about a person or an organization; `always`: also that there are none. */
export function AboutSomebody(props: { record: OnRecord; who: string; always?: boolean }) {
  const { record, who, always = false } = props;
  const { erasures, holds, messages } = record;
  const nothing = erasures.length + holds.length + messages.length === 0;
  if (nothing && !always) return null;
  return (
    <Section id="about" title={`On record about ${who}`}>
      {nothing && (
        <Empty>
          No request to erase, no hold and no message about {who} is on record under the keys in use.
        </Empty>
      )}
      <ul className="grid gap-2">
        {erasures.map((e) => (
          <li key={e.id}>
            Erasure of {e.scope === 'user' ? 'a person' : 'an organization'}, {e.state}: asked for by{' '}
            {e.requested_by} on <Time at={e.requested_at} />
            {e.finished_at && (
              <>
                , done on <Time at={e.finished_at} />
              </>
            )}
            . <a href={`/erasures/${e.id}`}>Request {e.id}</a>
          </li>
        ))}
        {holds.map((h) => (
          <li key={`${h.scope} ${h.placed_at} ${h.reason}`}>
            Hold on this {h.scope}: “{h.reason}”, placed by {h.placed_by} on <Time at={h.placed_at} />
            {h.released_at ? (
              <>
                , released on <Time at={h.released_at} />
              </>
            ) : (
              ', in force'
            )}
            .
          </li>
        ))}
        {messages.map((m) => (
          <li key={`${m.tenant} ${m.at} ${m.policies.join()}`}>
            Message to organization {m.tenant} about {m.policies.join(', ')}: {m.state}, <Time at={m.at} />.
          </li>
        ))}
      </ul>
    </Section>
  );
}
