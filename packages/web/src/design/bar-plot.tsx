import { scaleLinear } from 'd3-scale';
import { useWidth } from './use-width.js';

/** One bar. */
export interface Bar {
  readonly name: string;
  readonly value: number;
  /** Its colour, from 1. */
  readonly colour?: 1 | 2 | 3;
}

const HEIGHT = 130;
const MARGIN = { top: 18, bottom: 20 };

/** Bars with their values written over them. */
export function BarPlot(props: {
  readonly title: string;
  readonly bars: readonly Bar[];
  readonly format: (value: number) => string;
  /** What the names of the bars are. */
  readonly axis?: string;
}) {
  const { title, bars, format, axis } = props;
  const [element, width] = useWidth<HTMLDivElement>(480);
  const y = scaleLinear(
    [0, Math.max(1, ...bars.map(({ value }) => value))],
    [HEIGHT - MARGIN.bottom, MARGIN.top],
  );
  const step = Math.min(64, width / Math.max(1, bars.length));
  const every = Math.ceil(28 / step);
  const told = bars.map(({ name, value }) => `${name}: ${format(value)}`).join('; ');
  return (
    <figure class="plot">
      <div ref={element}>
        <svg
          height={HEIGHT}
          viewBox={`0 0 ${width} ${HEIGHT}`}
          role="img"
          aria-label={`${title}. ${told}`}
        >
          <line class="grid" x1={0} x2={width} y1={y(0)} y2={y(0)} />
          {bars.map(({ name, value, colour = 1 }, i) => (
            <g key={name} class={`series-${colour}`}>
              <rect
                class="bar"
                x={i * step + 2}
                width={Math.max(2, step - 4)}
                y={y(value)}
                height={y(0) - y(value)}
                rx={2}
              />
              {value > 0 && (
                <text x={(i + 0.5) * step} y={y(value) - 5} text-anchor="middle">
                  {format(value)}
                </text>
              )}
              {i % every === 0 && (
                <text x={(i + 0.5) * step} y={HEIGHT - 5} text-anchor="middle">
                  {name}
                </text>
              )}
            </g>
          ))}
        </svg>
      </div>
      {axis !== undefined && <figcaption class="soft small">{axis}</figcaption>}
    </figure>
  );
}
