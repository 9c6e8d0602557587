import '../dashboard/no-eval.js';
import { render } from 'preact';
import { applyTheme } from '../design/theme.js';
import { SharePage } from './share-page.js';

applyTheme();
const page = document.getElementById('page')!;
page.replaceChildren();
render(<SharePage />, page);
