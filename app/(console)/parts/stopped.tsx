/** While everything is stopped, every page about runs says so first, with the way back. */
import { isPreview } from '@/lib/http/console/place';
import type { PolicyFacts } from '@/lib/http/console/sentences';
import type { Visit } from '../visit';
import { Post } from './forms';
import { Ago } from './time';

export function Stopped({ of, visit: v }: { of: NonNullable<PolicyFacts['stopped']>; visit: Visit }) {
  return (
    <div
      role="status"
      className="flex flex-wrap items-center gap-3 rounded-lg border-l-4 border-warn bg-surface p-3"
    >
      <p className="mr-auto">
        Ⅱ Everything is stopped by <strong>{of.by}</strong> (“{of.why}”, <Ago at={of.at} now={v.now} />
        ). No policy deletes and no order is refunded.
      </p>
      {v.who.may('operate') && !isPreview(v.services.settings) && (
        <Post id="resume-all" action="/acts/resume-all">
          <button
            type="submit"
            className="button"
            disabled={of.by === v.who.name}
            title={of.by === v.who.name ? 'Another operator resumes' : undefined}
          >
            Let it run again
          </button>
        </Post>
      )}
    </div>
  );
}
