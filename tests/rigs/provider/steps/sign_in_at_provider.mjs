import { seen } from './visit.mjs';

// At the provider's login page: tries each password in turn, then consents if asked. Answers what the provider said to
// the wrong passwords, and where it all led.
export default async function signInAtProvider(page, { user, passwords, consent = 'Allow' }) {
  const words = [];
  const press = (name) => Promise.all([
    page.waitForEvent('load'), page.getByRole('button', { name, exact: true }).click(),
  ]);
  for (const password of passwords) {
    await page.getByLabel('User name').fill(user);
    await page.getByLabel('Password').fill(password);
    await press('Sign in');
    const alert = page.getByRole('alert');
    if (new URL(page.url()).pathname.startsWith('/interaction/') && await alert.count() > 0) {
      words.push(await alert.innerText());
    }
  }
  const asked = await page.getByRole('button', { name: 'Refuse', exact: true }).count() > 0;
  if (asked) await press(consent);
  return { refusals: words, asked, ...await seen(page) };
}
