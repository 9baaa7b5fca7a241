import { seen } from './visit.mjs';

// Loads the page again.
export default async function reload(page) {
  return seen(page, await page.reload());
}
