import { useState } from 'preact/hooks';

const THEMES = ['auto', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];
const KEY = 'granary-theme';

function stored(): Theme {
  try {
    const text = localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === text) ?? 'auto';
  } catch {
    return 'auto'; // a browser that keeps nothing
  }
}

function show(theme: Theme): void {
  if (theme === 'auto') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
}

/** Show the theme that was chosen on this machine. Called before anything is drawn. */
export function applyTheme(): void {
  show(stored());
}

const NAMES: Record<Theme, string> = { auto: 'as the system', light: 'light', dark: 'dark' };

/** Goes from the system's theme to light to dark, and round again. */
export function ThemeButton() {
  const [theme, setTheme] = useState(stored);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!;
  const change = () => {
    show(next);
    setTheme(next);
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // Then it is good for this visit.
    }
  };
  return (
    <button type="button" class="button" onClick={change} title={`Next: ${NAMES[next]}`}>
      <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
        <path fill="currentColor" d="M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm0 2v14a7 7 0 0 1 0-14Z" />
      </svg>
      <span class="theme-name">
        <span class="hidden-text">Theme: </span>
        {theme}
      </span>
    </button>
  );
}
