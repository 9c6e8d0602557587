import type { ComponentChildren } from 'preact';
import type { Level } from './icons.js';

/** A framed part of a page with a heading. */
export function Card(props: {
  readonly title: string;
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
}) {
  return (
    <article class="card">
      <header>
        <h2>{props.title}</h2>
        {props.aside !== undefined && <span class="soft small">{props.aside}</span>}
      </header>
      {props.children}
    </article>
  );
}

/** One figure with what it is. */
export function Tile(props: {
  readonly title: string;
  readonly value: string;
  readonly children?: ComponentChildren;
}) {
  return (
    <div class="tile">
      <h3>{props.title}</h3>
      <p class="value">{props.value}</p>
      {props.children !== undefined && <div class="soft small">{props.children}</div>}
    </div>
  );
}

/** How full something is. @param share - from 0 to 1 */
export function Meter({ share, label }: { readonly share: number; readonly label: string }) {
  const width = `${Math.min(100, Math.max(0, share * 100))}%`;
  return (
    <span class="meter" role="img" aria-label={label}>
      <span style={{ width }} />
    </span>
  );
}

/** A word with a level. */
export function Badge(props: { readonly level?: Level; readonly children: ComponentChildren }) {
  return <span class={`badge ${props.level ?? ''}`}>{props.children}</span>;
}

/** A column of a {@link Table}. */
export interface Column<T> {
  readonly title: string;
  readonly number?: boolean;
  readonly cell: (row: T) => ComponentChildren;
}

/** A table that scrolls sideways where it is too wide, by keyboard, too. */
export function Table<T>(props: {
  readonly label: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
  /** What to say when there are no rows. */
  readonly empty: string;
}) {
  const { label, columns, rows, keyOf } = props;
  if (rows.length === 0) return <p class="soft">{props.empty}</p>;
  return (
    <div class="scroller" role="region" aria-label={`Table: ${label}`} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map(({ title, number }) => (
              <th key={title} scope="col" class={number === true ? 'number' : ''}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ title, number, cell }) => (
                <td key={title} class={number === true ? 'number' : ''}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Names and what they stand for. */
export function Facts({
  facts,
}: {
  readonly facts: readonly (readonly [string, ComponentChildren])[];
}) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </>
      ))}
    </dl>
  );
}
