// Fills in fields, named by their labels; a list or radio button is chosen, a check box ticked by true.
export default async function fill(page, { fields }) {
  for (const [label, value] of Object.entries(fields)) {
    const field = page.getByLabel(label, { exact: true });
    const kind = await field.evaluate((element) => element.type ?? '');
    if (kind.startsWith('select')) await field.selectOption(value);
    else if (kind === 'checkbox' || kind === 'radio') await field.setChecked(value !== false);
    else await field.fill(String(value));
  }
}
