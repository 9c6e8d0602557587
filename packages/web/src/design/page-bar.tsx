import type { ComponentChildren } from 'preact';
import { ThemeButton } from './theme.js';

/** The bar at the top of a page: whose page it is, what the page puts there, and the theme. */
export function PageBar(props: {
  readonly title: string;
  /** Between the title and the theme. */
  readonly children?: ComponentChildren;
  /** After the theme. */
  readonly last?: ComponentChildren;
}) {
  return (
    <header class="bar">
      <div>
        <p class="brand">
          <img src="./favicon.svg" alt="" />
          <span>{props.title}</span>
        </p>
        {props.children}
        <ThemeButton />
        {props.last}
      </div>
    </header>
  );
}

/** Whether the page is connected to what it shows. */
export function Live(props: {
  readonly good: boolean;
  readonly text: string;
  readonly role?: 'status';
}) {
  const { good, text, role } = props;
  return (
    <span class={`live ${good ? '' : 'lost'}`} {...(role !== undefined && { role })}>
      {text}
    </span>
  );
}
