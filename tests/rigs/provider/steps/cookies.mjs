// The browser's cookies, with their flags, of an address or of all.
export default async function cookies(_page, { url }, context) {
  return context.cookies(url);
}
