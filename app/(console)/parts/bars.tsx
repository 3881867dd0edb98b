/** A small chart drawn on the server: one path, however many bars, and its figures as words for who does not see it. */
import { scaleLinear } from 'd3-scale';

const HEIGHT = 28;
const STEP = 4;

export function Bars({ values, label }: { values: readonly number[]; label: string }) {
  const top = Math.max(1, ...values);
  // The square root keeps one large night from hiding all others.
  const y = scaleLinear([0, Math.sqrt(top)], [0, HEIGHT]);
  const path = values
    .map((n, i) => {
      const h = n > 0 ? Math.max(1, Math.round(y(Math.sqrt(n)))) : 0;
      return h > 0 ? `M${i * STEP} ${HEIGHT}v-${h}h3v${h}z` : '';
    })
    .join('');
  const width = Math.max(1, values.length * STEP);
  return (
    <svg
      role="img"
      aria-label={label}
      width={width}
      height={HEIGHT}
      viewBox={`0 0 ${width} ${HEIGHT}`}
      className="text-run"
    >
      <path d={path} fill="currentColor" />
    </svg>
  );
}
