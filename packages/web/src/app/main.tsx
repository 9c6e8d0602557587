import '../dashboard/no-eval.js';
import { render } from 'preact';
import { applyTheme } from '../design/theme.js';
import { App } from './app.js';

applyTheme();
const page = document.getElementById('page')!;
page.replaceChildren();
render(<App />, page);
