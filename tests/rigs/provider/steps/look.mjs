import { seen } from './visit.mjs';

// What is there now.
export default async function look(page) {
  return seen(page);
}
