// A server with keys: the Playground asks for one, keeps it for the tab, and shows it to nobody.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GUARDED, KEY, screenshot, visit } from './browser.mjs';

test('a key is asked for, kept in the tab alone, and never in an address', async (t) => {
  const page = await visit(t, '/assistants', { server: GUARDED, expected: [/401/] });
  const addresses = [];
  page.on('request', (request) => addresses.push(request.url()));
  const prompt = page.getByRole('dialog', { name: 'This server asks for a key' });
  await prompt.waitFor();
  await screenshot(page, 'key');
  await prompt.getByLabel('API key').first().fill('wrong-key-wrong-key');
  await prompt.getByRole('button', { name: 'Continue' }).click();
  await prompt.getByText('does not know this key').waitFor();
  await prompt.getByLabel('API key').first().fill(KEY);
  await prompt.getByRole('button', { name: 'Continue' }).click();
  await prompt.waitFor({ state: 'hidden' });
  await page.getByRole('heading', { name: 'Make your first assistant' }).waitFor();

  await page.reload();
  await page.getByRole('heading', { name: 'Make your first assistant' }).waitFor();
  assert.ok(addresses.length > 0 && addresses.every((address) => !address.includes(KEY)));
  const kept = await page.evaluate(() => [JSON.stringify(localStorage), document.cookie, location.href]);
  assert.ok(kept.every((text) => !text.includes(KEY)));

  const otherTab = await page.context().newPage();
  await otherTab.goto(`${GUARDED}/assistants`);
  await otherTab.getByRole('dialog', { name: 'This server asks for a key' }).waitFor();
});
