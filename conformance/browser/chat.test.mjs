// Talking: what streams, what fails, what a model may not do, and keys that only end a syllable.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { answer, api, assistantWith, letTheModelGoOn, SERVER, say, screenshot, visit } from './browser.mjs';

async function chat(t, options = {}) {
  const assistant = await assistantWith({ name: 'Talker' });
  return visit(t, `/threads?assistant=${assistant.id}`, options);
}

test('words are shown as they come, and a page that is loaded again goes on with them', async (t) => {
  const page = await chat(t);
  await say(page, 'Slowly.');
  await page.getByText('The first half').waitFor();
  await page.getByRole('button', { name: 'Stop the answer' }).waitFor();
  assert.doesNotMatch(await answer(page).innerText(), /second/);
  await screenshot(page, 'streaming');
  await page.reload();
  await page.getByText('The first half').waitFor();
  await letTheModelGoOn();
  await page.getByText('The first half and the second.').waitFor();
  await page.getByRole('button', { name: 'Send', exact: true }).waitFor();
});

test('an answer is stopped', async (t) => {
  const page = await chat(t);
  await say(page, 'Slowly.');
  await page.getByText('The first half').waitFor();
  await page.getByRole('button', { name: 'Stop the answer' }).click();
  await page.getByText('Stopped', { exact: true }).first().waitFor();
  await letTheModelGoOn();
});

test('a failure is told in words, with a way on', async (t) => {
  const page = await chat(t);
  await say(page, 'Fail.');
  await page.getByText('The run failed').waitFor();
  await page.getByText('The scripted model is unwell').waitFor();
  await screenshot(page, 'failed-run');
  await page.getByRole('button', { name: 'Answer again' }).first().click();
  await page.getByText('Well again.').waitFor();
});

test('a known failure is told in the language of the page, and in the words of the server', async (t) => {
  const korean = new URL('../../playground/src/messages/ko/app.json', import.meta.url);
  const { reason } = JSON.parse(await readFile(korean, 'utf8')).errors;
  const assistant = await assistantWith({ name: 'Talker' });
  const page = await visit(t, `/threads?assistant=${assistant.id}`, { locale: 'ko-KR' });
  await page.getByLabel('메시지', { exact: true }).fill('Be refused.');
  await page.locator('button[aria-label="보내기"]:enabled').click();
  await page.getByText(reason.modelKey).waitFor();
  await page.getByText('No such key').waitFor();
  await screenshot(page, 'failed-run-ko');

  const form = new FormData();
  form.append('purpose', 'assistants');
  form.append('file', new Blob([new Uint8Array(64)]), 'song.mp3');
  const file = await (await fetch(`${SERVER}/v1/files`, { method: 'POST', body: form })).json();
  const store = await api('POST', '/vector_stores', { name: 'Songs', file_ids: [file.id] });
  await page.goto(`${SERVER}/vector-stores/${store.id}`);

  await page.getByText(reason.fileUnsupported).waitFor();
  await page.getByText('The file type is not supported.').waitFor();
  await screenshot(page, 'unsupported-file-ko');
});

test('a server that is gone is said to be', async (t) => {
  const page = await visit(t, '/threads', { expected: [/net::ERR_FAILED/] });
  await page.getByRole('heading', { name: 'Threads' }).first().waitFor();
  await page.route('**/v1/**', (route) => route.abort());
  await page.getByRole('link', { name: 'Files', exact: true }).click();
  await page.getByText('The server does not answer').first().waitFor();
  await page.unroute('**/v1/**');
  await page.getByRole('button', { name: 'Try again' }).first().click();
  await page.getByText('The server does not answer').first().waitFor({ state: 'hidden' });
});

test('what a model writes loads nothing from elsewhere and runs nothing', async (t) => {
  const page = await chat(t);
  await page.evaluate(() => {
    window.broken = [];
    document.addEventListener('securitypolicyviolation', ({ blockedURI }) => window.broken.push(blockedURI));
  });
  await say(page, 'Attack.');
  await page.getByText('That is all.').waitFor();
  const said = answer(page);
  // What sets markdown is loaded with the first answer; before, its text is shown as it is.
  await said.getByRole('link', { name: 'a link' }).waitFor();
  assert.equal(await said.locator('script, iframe, object, embed, style, form').count(), 0);
  assert.equal(await said.locator('img:not([src^="blob:"])').count(), 0);
  const links = await said.locator('a').evaluateAll((all) => all.map(({ protocol, rel }) => ({ protocol, rel })));
  assert.deepEqual([...new Set(links.map(({ protocol }) => protocol))], ['https:']);
  assert.ok(links.every(({ rel }) => rel.includes('noopener')));
  // Nothing was so much as tried: `visit` fails on requests, and the policy had nothing to refuse.
  assert.deepEqual(await page.evaluate(() => [window.broken, window.ran]), [[], undefined]);
});

test('maths and code are set, under the policy', async (t) => {
  const page = await chat(t);
  await say(page, 'Explain.');
  await page.getByText('And so on.').waitFor();
  await answer(page).locator('.katex').first().waitFor();
  await answer(page).getByText('print').first().waitFor();
  await answer(page).getByRole('table').waitFor();
  await screenshot(page, 'markdown');
});

test('the inspector shows what the model was sent', async (t) => {
  const page = await chat(t);
  await say(page, 'Hello.');
  await page.getByText('You said: Hello.').waitFor();
  const pane = page.getByRole('tab', { name: 'Model', exact: true });
  if (!(await pane.isVisible())) await page.getByRole('button', { name: 'Inspector', exact: true }).click();
  await pane.click();
  await page.getByText('Request 1').first().waitFor();
  await screenshot(page, 'inspector');
});

test('Enter that ends a syllable sends nothing', async (t) => {
  const page = await chat(t);
  const field = page.getByLabel('Message', { exact: true });
  await field.fill('안녕하세요');
  const press = (options) =>
    field.evaluate((element, given) => {
      const key = { key: 'Enter', bubbles: true, cancelable: true, ...given };
      element.dispatchEvent(new KeyboardEvent('keydown', key));
    }, options);
  await press({ isComposing: true });
  await press({ keyCode: 229 });
  assert.equal(await field.inputValue(), '안녕하세요');
  assert.equal(await page.getByRole('article').count(), 0);
  await press({ keyCode: 13 });
  await page.getByText('You said: 안녕하세요').waitFor();
});

test('a thread is renamed and found again, and opens by its link', async (t) => {
  const page = await chat(t);
  await say(page, 'Hello.');
  await page.getByText('You said: Hello.').waitFor();
  const id = new URL(page.url()).pathname.split('/').pop();
  await api('POST', `/threads/${id}`, { metadata: { title: 'About lamps' } });
  const other = await visit(t, `/threads/${id}`);
  await other.getByText('About lamps').first().waitFor();
  await other.getByText('You said: Hello.').waitFor();
});
