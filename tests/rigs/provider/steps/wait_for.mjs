import { seen } from './visit.mjs';

// Waits until the page leads on by itself to an address that begins so.
export default async function waitFor(page, { address }) {
  await page.waitForURL((url) => url.href.startsWith(address), { waitUntil: 'load' });
  return seen(page);
}
