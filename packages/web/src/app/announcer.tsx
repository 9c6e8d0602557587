import { Store, useStore } from './store.js';

const said = new Store({ text: '', count: 0 });

/** Have screen readers say something that has happened, when they come to it. */
export function announce(text: string): void {
  said.set({ text, count: said.get().count + 1 });
}

/** What screen readers are told of. There is one in the page, from its start. */
export function Announcer() {
  const { text, count } = useStore(said);
  return (
    <div class="hidden-text" role="status" aria-live="polite">
      {/* The same words twice are two events. */}
      <span key={count}>{text}</span>
    </div>
  );
}
