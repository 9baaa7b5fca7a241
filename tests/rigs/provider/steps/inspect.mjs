import { readFile } from 'node:fs/promises';

const axe = await readFile(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');

// What would run in the browser on this page, what the browser has refused since the last look because of the page's
// Content-Security-Policy, and what people with impaired sight or without a mouse would stumble over.
export default async function inspect(page, { accessibility = true }) {
  const scripts = await page.evaluate(() => {
    const runs = (element) => [...element.attributes].some(({ name, value }) => /^on/i.test(name)
      || /^\s*javascript:/i.test(value));
    return [...document.querySelectorAll('*')].filter((element) => element.localName === 'script' || runs(element))
      .map((element) => element.outerHTML);
  });
  const refused = page.complaints.splice(0).filter((words) => words.includes('Content Security Policy'));
  let hindrances = [];
  if (accessibility) {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    hindrances = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, help, nodes }) => ({ id, help, where: nodes.map(({ html }) => html) }));
  }
  return { scripts, refused, hindrances };
}
