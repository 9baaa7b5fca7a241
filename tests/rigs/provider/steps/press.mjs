import { seen } from './visit.mjs';

// Presses the button or follows the link of that name. What it leads to is loaded when it answers.
export default async function press(page, { button, link }) {
  const target = link === undefined
    ? page.getByRole('button', { name: button, exact: true })
    : page.getByRole('link', { name: link, exact: true });
  await Promise.all([page.waitForEvent('load'), target.click()]);
  return seen(page);
}
