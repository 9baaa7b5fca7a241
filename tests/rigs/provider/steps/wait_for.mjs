import { seen } from './visit.mjs';

// Waits until the page leads on by itself to an address that begins so, and shows the text if one is given.
export default async function waitFor(page, { address, text }) {
  if (text !== undefined) await page.getByText(text).waitFor();
  await page.waitForURL((url) => url.href.startsWith(address), { waitUntil: 'load' });
  return seen(page);
}
