/** The way to the first run, ticked off by what the database says; gone when a policy has run. */
import type { FirstStep } from '@/lib/http/console/first-steps';
import type { Read } from '@/lib/http/console/reading';
import { Section } from './frame';
import { Part } from './notes';
import { Streamed } from './streamed';

/** Most installations have no such step left: nothing stands in its place while it is read. */
export const FirstSteps = (props: { of: Promise<Read<readonly FirstStep[] | null>> }) => (
  <Streamed until={null}>
    <Known {...props} />
  </Streamed>
);

async function Known({ of }: { of: Promise<Read<readonly FirstStep[] | null>> }) {
  return <Part of={await of}>{(steps) => steps && <Steps steps={steps} />}</Part>;
}

function Steps({ steps }: { steps: readonly FirstStep[] }) {
  const next = steps.findIndex((s) => !s.done);
  return (
    <Section id="first-steps" title={`Next: ${steps[next]?.title ?? 'nothing'}`}>
      <ol className="grid gap-3">
        {steps.map((step, i) => (
          <li key={step.title} aria-current={i === next ? 'step' : undefined}>
            <span aria-hidden="true">{step.done ? '✓' : i === next ? '▶' : '○'}</span>{' '}
            <span className={i === next ? 'font-semibold' : undefined}>{step.title}</span>
            <span className="sr-only">{step.done ? ', done' : i === next ? ', next' : ', later'}</span>
            {i === next && (
              <>
                <p className="text-quiet">{step.why}</p>
                <pre className="mt-1 rounded bg-raised p-3 text-sm whitespace-pre-wrap wrap-anywhere">
                  <code>{step.command}</code>
                </pre>
              </>
            )}
          </li>
        ))}
      </ol>
    </Section>
  );
}
