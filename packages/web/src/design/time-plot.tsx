import { scaleLinear, scaleTime } from 'd3-scale';
import { area, line } from 'd3-shape';
import { useState } from 'preact/hooks';
import { brief, clock } from './format.js';
import { useWidth } from './use-width.js';

/** Values at a time, one for each line. */
export interface Point {
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly values: readonly number[];
}

const HEIGHT = 150;
/** Over so short a span ticks have seconds. */
const BRIEF_MS = 4 * 60_000;
const MARGIN = { top: 8, right: 8, bottom: 22, left: 58 };

/**
 * Lines over time. A value is read off by the mouse, or by the arrow keys when the plot has the focus;
 * it is told in words below.
 */
export function TimePlot(props: {
  readonly title: string;
  /** Names of the lines. */
  readonly lines: readonly string[];
  readonly points: readonly Point[];
  readonly format: (value: number) => string;
  /** Whether values are whole: no ticks between whole numbers. */
  readonly whole?: boolean;
  /** The colour of the first line, from 1. */
  readonly firstColour?: number;
}) {
  const { title, lines, points, format, whole = false, firstColour = 1 } = props;
  const [element, width] = useWidth<HTMLDivElement>(480);
  const [chosen, setChosen] = useState<number | undefined>(undefined);
  const last = points.length - 1;
  const index = chosen === undefined ? last : Math.min(chosen, last);
  const colour = (i: number) => `series-${((i + firstColour - 1) % 3) + 1}`;
  if (points.length < 2) {
    return (
      <figure class="plot">
        <p class="soft small">{title}: the first figures come in a few seconds.</p>
      </figure>
    );
  }
  const at = points[index]!;
  const highest = Math.max(...points.flatMap(({ values }) => values), whole ? 1 : 0);
  const x = scaleTime(
    [points[0]!.time, points[last]!.time],
    [MARGIN.left, Math.max(MARGIN.left + 40, width - MARGIN.right)],
  );
  const y = scaleLinear(
    [0, highest === 0 ? 1 : highest],
    [HEIGHT - MARGIN.bottom, MARGIN.top],
  ).nice(4);
  // Of nothing but zeros there is one thing to say.
  const yTicks =
    highest === 0 ? [0] : y.ticks(4).filter((tick) => !whole || Number.isInteger(tick));
  const seconds = points[last]!.time - points[0]!.time < BRIEF_MS;
  const xTicks = x.ticks(Math.max(2, Math.floor(width / 140)));
  const move = (to: number) => setChosen(Math.max(0, Math.min(last, to)));
  const onKey = (event: KeyboardEvent) => {
    const steps: Record<string, number> = {
      ArrowLeft: index - 1,
      ArrowRight: index + 1,
      PageUp: index + 10,
      PageDown: index - 10,
      Home: 0,
      End: last,
    };
    const to = steps[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(to);
  };
  const onPoint = (event: PointerEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const time = x.invert(event.clientX - box.left).getTime();
    const nearest = points.reduce(
      (best, point, i) =>
        Math.abs(point.time - time) < Math.abs(points[best]!.time - time) ? i : best,
      0,
    );
    move(nearest);
  };
  const told = `${clock(at.time, true)}: ${lines.map((name, i) => `${name} ${format(at.values[i] ?? 0)}`).join(', ')}`;
  return (
    <figure class="plot">
      <div
        ref={element}
        role="slider"
        tabIndex={0}
        aria-label={`${title} over time`}
        aria-valuemin={0}
        aria-valuemax={last}
        aria-valuenow={index}
        aria-valuetext={told}
        onKeyDown={onKey}
        onPointerMove={onPoint}
        onPointerLeave={() => setChosen(undefined)}
        onBlur={() => setChosen(undefined)}
      >
        <svg height={HEIGHT} viewBox={`0 0 ${width} ${HEIGHT}`} aria-hidden="true">
          {yTicks.map((tick) => (
            <g key={tick}>
              <line
                class="grid"
                x1={MARGIN.left}
                x2={width - MARGIN.right}
                y1={y(tick)}
                y2={y(tick)}
              />
              <text x={MARGIN.left - 8} y={y(tick) + 4} text-anchor="end">
                {brief(format(tick))}
              </text>
            </g>
          ))}
          {xTicks.map((tick) => (
            <text key={tick.getTime()} x={x(tick)} y={HEIGHT - 4} text-anchor="middle">
              {clock(tick.getTime(), seconds)}
            </text>
          ))}
          {lines.map((name, i) => {
            const value = (point: Point) => point.values[i] ?? 0;
            const px = (point: Point) => x(point.time);
            const filled = area<Point>(px, y(0), (point) => y(value(point)));
            const drawn = line<Point>(px, (point) => y(value(point)));
            return (
              <g key={name} class={colour(i)}>
                <path class="area" d={filled([...points]) ?? ''} />
                <path class="line" d={drawn([...points]) ?? ''} />
              </g>
            );
          })}
          {chosen !== undefined && (
            <line class="cursor" x1={x(at.time)} x2={x(at.time)} y1={MARGIN.top} y2={y(0)} />
          )}
          {lines.map((name, i) => (
            <circle
              key={name}
              class={`dot ${colour(i)}`}
              cx={x(at.time)}
              cy={y(at.values[i] ?? 0)}
              r={3}
            />
          ))}
        </svg>
      </div>
      <figcaption>
        <ul class="legend">
          {lines.map((name, i) => (
            <li key={name} class={colour(i)}>
              <span class="swatch" aria-hidden="true" />
              {name} <strong>{format(at.values[i] ?? 0)}</strong>
            </li>
          ))}
          <li class="soft">{chosen === undefined ? 'now' : clock(at.time, true)}</li>
        </ul>
      </figcaption>
    </figure>
  );
}
