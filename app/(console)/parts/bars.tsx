/** A small chart drawn on the server: one path, however many bars, and its figures as words for who does not see it. */
import { scaleLinear } from 'd3-scale';

const HEIGHT = 28;
const TALL = 96;
const STEP = 4;

export function Bars(props: { values: readonly number[]; label: string; tall?: boolean }) {
  const { values, label, tall = false } = props;
  const top = Math.max(1, ...values);
  // The square root keeps one large night from hiding all others.
  const height = tall ? TALL : HEIGHT;
  const y = scaleLinear([0, Math.sqrt(top)], [0, height]);
  const path = values
    .map((n, i) => {
      const h = n > 0 ? Math.max(1, Math.round(y(Math.sqrt(n)))) : 0;
      return h > 0 ? `M${i * STEP} ${height}v-${h}h3v${h}z` : '';
    })
    .join('');
  const width = Math.max(1, values.length * STEP);
  return (
    <svg
      role="img"
      aria-label={label}
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      className="max-w-full text-run"
    >
      <path d={path} fill="currentColor" />
    </svg>
  );
}
