// A real browser for tests: Debian's Chromium, driven by Playwright. Reads one line of JSON for each step, of the form
// {"step": NAME, "with": {…}}, runs steps/NAME.mjs in the one window there is, and answers one line: {"done": …} or
// {"failed": WHY, "at": URL, "page": TEXT}. Ends when its input ends. Cookies stay from step to step.

import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const browser = await chromium.launch({
  executablePath: process.env.TOMBOLO_TEST_CHROMIUM ?? '/usr/bin/chromium',
  args: [
    // Chromium's own sandbox does not work for root, and /dev/shm is small in containers.
    ...(process.getuid() === 0 ? ['--no-sandbox'] : []), '--disable-dev-shm-usage',
  ],
});
let context;
let page;

// A person who has never been here: no cookies, no cache.
async function newPerson() {
  await context?.close();
  context = await browser.newContext({ javaScriptEnabled: process.env.TOMBOLO_TEST_JAVASCRIPT !== 'off' });
  context.setDefaultTimeout(20_000);
  page = await context.newPage();
  page.complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error') page.complaints.push(message.text());
  });
}
await newPerson();

// What a person would see: enough to tell why a step has failed.
async function shown() {
  const text = await page.locator('body').innerText({ timeout: 1000 }).catch(() => '');
  return text.slice(0, 2000);
}

async function run({ step, with: given = {} }) {
  if (step === 'new_person') return newPerson();
  if (!/^[a-z_]+$/.test(step)) throw new Error(`no step is called "${step}"`);
  const { default: run } = await import(`./steps/${step}.mjs`);
  return run(page, given, context);
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = { done: await run(JSON.parse(line)) ?? null };
  } catch (error) {
    const { complaints } = page;
    answer = { failed: String(error?.stack ?? error), at: page.url(), page: await shown(), complaints };
  }
  console.log(JSON.stringify(answer));
}
await browser.close();
process.exit(0);
