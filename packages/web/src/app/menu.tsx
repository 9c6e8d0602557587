import type { ComponentChildren } from 'preact';
import { useId, useRef } from 'preact/hooks';

/** One thing that can be done. */
export interface MenuItem {
  readonly text: string;
  readonly run: () => void;
  /** Whether it takes something away for good. */
  readonly danger?: boolean;
}

/**
 * A button that opens a menu (WAI-ARIA Authoring Practices, "Menu Button"): by click, Enter, Space or the
 * arrow down; in it by arrows, Home, End and first letters; Escape closes it.
 */
export function Menu(props: {
  readonly label: string;
  readonly items: readonly MenuItem[];
  readonly children: ComponentChildren;
}) {
  const { label, items, children } = props;
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();

  const entries = () => [...list.current!.querySelectorAll<HTMLElement>('[role="menuitem"]')];
  const open = () => {
    const menu = list.current!;
    menu.showPopover();
    const at = button.current!.getBoundingClientRect();
    const { offsetWidth, offsetHeight } = menu;
    const below = at.bottom + offsetHeight + 4 <= innerHeight || at.top < offsetHeight;
    menu.style.left = `${Math.max(8, Math.min(at.right - offsetWidth, innerWidth - offsetWidth - 8))}px`;
    menu.style.top = `${below ? at.bottom + 4 : at.top - offsetHeight - 4}px`;
    entries()[0]?.focus();
  };
  const onKey = (event: KeyboardEvent) => {
    const all = entries();
    const now = all.indexOf(document.activeElement as HTMLElement);
    const steps: Record<string, number> = {
      ArrowDown: (now + 1) % all.length,
      ArrowUp: (now - 1 + all.length) % all.length,
      Home: 0,
      End: all.length - 1,
    };
    let to = steps[event.key];
    if (to === undefined && event.key.length === 1) {
      const letter = event.key.toLowerCase();
      const found = items.findIndex(
        ({ text }, i) => i > now && text.toLowerCase().startsWith(letter),
      );
      to =
        found >= 0 ? found : items.findIndex(({ text }) => text.toLowerCase().startsWith(letter));
      if (to < 0) to = undefined;
    }
    if (event.key === 'Tab') return list.current!.hidePopover();
    if (to === undefined) return;
    event.preventDefault();
    all[to]?.focus();
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        class="button plain"
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded="false"
        aria-controls={id}
        onClick={open}
        onKeyDown={(event) => {
          if (event.key !== 'ArrowDown') return;
          event.preventDefault();
          open();
        }}
      >
        {children}
      </button>
      <div
        ref={list}
        id={id}
        class="menu"
        role="menu"
        aria-label={label}
        popover="auto"
        onKeyDown={onKey}
        onToggle={(event) => {
          const shown = event.newState === 'open';
          button.current?.setAttribute('aria-expanded', String(shown));
          const inside = list.current?.contains(document.activeElement) ?? false;
          if (!shown && inside) button.current?.focus();
        }}
      >
        {items.map(({ text, run, danger = false }) => (
          <button
            key={text}
            type="button"
            role="menuitem"
            tabIndex={-1}
            class={danger ? 'danger' : ''}
            onClick={() => {
              list.current!.hidePopover();
              button.current?.focus();
              run();
            }}
          >
            {text}
          </button>
        ))}
      </div>
    </>
  );
}
