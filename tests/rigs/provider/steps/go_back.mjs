import { seen } from './visit.mjs';

// Presses the back button.
export default async function goBack(page) {
  return seen(page, await page.goBack());
}
