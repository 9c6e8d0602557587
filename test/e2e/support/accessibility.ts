import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type Axe from 'axe-core';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';

/** The source of axe, to be evaluated in pages. */
export function loadAxe(): Promise<string> {
  return readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
}

/**
 * Expect that axe finds no fault in a page, and that nothing sticks out to the side.
 *
 * @param axe - see {@link loadAxe}
 * @param view - what is shown, for the message
 */
export async function expectNoFaults(
  page: Page,
  axe: string,
  view: string,
  looks: readonly (readonly [width: number, colorScheme: 'light' | 'dark'])[],
): Promise<void> {
  await page.evaluate(axe);
  for (const [width, colorScheme] of looks) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const violations = await page.evaluate(async () => {
      const { axe: checker } = globalThis as unknown as { axe: typeof Axe };
      const { violations: found } = await checker.run();
      return found.map(({ id, nodes }) => `${id}: ${nodes.map((n) => n.html).join(' | ')}`);
    });
    expect([view, width, colorScheme, violations]).toEqual([view, width, colorScheme, []]);
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect([view, width, overflow]).toEqual([view, width, 0]);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
}
