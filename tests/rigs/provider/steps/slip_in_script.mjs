// What somebody would do who has found a way to put text into a page: a script and a style in it. Answers whether they
// had an effect.
export default async function slipInScript(page) {
  await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'globalThis.slippedIn = true';
    document.body.append(script);
    const style = document.createElement('style');
    style.textContent = 'body { visibility: hidden }';
    document.body.append(style);
  });
  return page.evaluate(() => globalThis.slippedIn === true || getComputedStyle(document.body).visibility === 'hidden');
}
