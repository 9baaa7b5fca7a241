// Opens an address. Answers where that led, and what is there.

export async function seen(page, response) {
  return {
    status: response?.status() ?? null,
    url: page.url(),
    title: await page.title(),
    text: await page.locator('body').innerText(),
  };
}

export default async function visit(page, { url }) {
  return seen(page, await page.goto(url));
}
