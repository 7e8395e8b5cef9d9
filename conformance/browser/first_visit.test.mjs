// What somebody does who has never been here: make an assistant, give it a document, talk with it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answer, say, screenshot, visit } from './browser.mjs';

const RETURNS = '# Returns\n\nLamps may be returned within 30 days of purchase.\n';

// The steps of a run say much of it too, folded away or not.
const said = (page, text) => page.getByText(text).filter({ visible: true }).first();

test('the whole first visit', async (t) => {
  const page = await visit(t, '/');
  await page.getByRole('heading', { name: 'Make your first assistant' }).waitFor();
  await screenshot(page, 'first-visit');

  await page.getByRole('button', { name: 'Answer from documents' }).click();
  const name = page.getByLabel('Name', { exact: true });
  await name.waitFor();
  assert.equal(await name.inputValue(), 'Document reader');
  await name.fill('Lamp shop');
  const documents = page.getByRole('region', { name: 'Tools' }).locator('input[type=file]').first();
  await documents.setInputFiles({ name: 'returns.md', mimeType: 'text/markdown', buffer: Buffer.from(RETURNS) });
  await page.getByText('returns.md').first().waitFor();
  await page.getByText('Ready').first().waitFor();
  await page.getByRole('switch', { name: 'Code interpreter' }).check({ force: true });
  await page.getByRole('button', { name: 'Add function' }).click();
  await page.getByRole('button', { name: 'get_weather' }).click();
  await page.getByRole('button', { name: 'Add it' }).click();
  await page.getByRole('button', { name: 'Remove get_weather' }).waitFor();
  await page.getByText('Saved', { exact: true }).waitFor();
  await screenshot(page, 'assistant');

  await page.getByRole('button', { name: 'Try it' }).click();
  await say(page, 'How long may I return a lamp?');
  const source = page.getByRole('button', { name: 'Source 1: returns.md' }).first();
  await source.waitFor();
  assert.match(await answer(page).innerText(), /Within 30 days/);
  await source.click();
  const passage = page.getByRole('dialog', { name: /Source|returns\.md/ });
  await passage.getByText('within 30 days of purchase').first().waitFor();
  await screenshot(page, 'citation');
  await page.keyboard.press('Escape');
  await passage.waitFor({ state: 'hidden' });

  await say(page, 'What is the weather in Oslo?');
  await said(page, 'The assistant calls a function').waitFor();
  await page.getByLabel('Output of get_weather').fill('{"degrees": -5}');
  await screenshot(page, 'function-call');
  await page.getByRole('button', { name: 'Send the outputs' }).click();
  await said(page, 'It is {"degrees": -5} there.').waitFor();

  await say(page, 'Draw it.');
  await said(page, 'Here is the figure.').waitFor({ timeout: 90_000 });
  await answer(page).getByRole('img').first().waitFor();
  // The image is another one, once the answer is the one that is stored.
  const isDrawn = (image) => image.src.startsWith('blob:') && image.naturalWidth > 0;
  await page.waitForFunction(`[...document.images].some(${isDrawn})`);
  await screenshot(page, 'figure');

  await page.reload();
  await said(page, 'Here is the figure.').waitFor();
  for (const text of ['How long may I return a lamp?', 'Within 30 days', 'It is {"degrees": -5} there.']) {
    await said(page, text).waitFor();
  }
  await answer(page).getByRole('img').first().waitFor();
});
