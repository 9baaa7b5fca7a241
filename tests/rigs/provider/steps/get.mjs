// Asks for an address as a program in the browser would: with its cookies, and without a window in which a person could
// be asked for a password.
export default async function get(page, { url }, context) {
  const response = await context.request.get(url, { maxRedirects: 0 });
  return { status: response.status(), url, text: await response.text() };
}
