import type { Fact } from '@/lib/operators/audit/answer-words';

/** Names and what is known under them. */
export function Facts({ facts }: { facts: readonly Fact[] }) {
  if (facts.length === 0) return null;
  return (
    <dl className="grid gap-x-4 gap-y-1 sm:grid-cols-[max-content_1fr]">
      {facts.map(({ name, text, run }) => (
        <div key={`${name} ${text}`} className="contents">
          <dt className="text-quiet">{name}</dt>
          <dd className="min-w-0 pb-2 [overflow-wrap:anywhere] sm:pb-0">
            {run === undefined ? text : <a href={`/runs/${run}`}>{text}</a>}
          </dd>
        </div>
      ))}
    </dl>
  );
}
