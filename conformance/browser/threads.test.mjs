// What is done to threads: said anew, named, deleted; and lists of very many.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { api, assistantWith, SERVER, say, screenshot, visit } from './browser.mjs';

async function chat(t, options = {}) {
  const assistant = await assistantWith({ name: 'Talker' });
  return visit(t, `/threads?assistant=${assistant.id}`, options);
}

const threadOf = (page) => new URL(page.url()).pathname.split('/').pop();

async function choose(page, name) {
  await page.getByRole('button', { name: 'What can be done with this thread' }).click();
  await page.getByRole('menuitem', { name }).click();
}

test('a message is edited and sent again, and what followed it is gone', async (t) => {
  const page = await chat(t);
  await say(page, 'Hello.');
  await page.getByText('You said: Hello.').waitFor();
  await say(page, 'And again.');
  await page.getByText('You said: And again.').waitFor();
  const first = page.getByRole('article', { name: 'You' }).first();
  await first.hover();
  await first.getByRole('button', { name: 'Edit and send again' }).click();
  const field = page.getByLabel('Your message');
  assert.equal(await field.inputValue(), 'Hello.');
  await field.fill('Good day.');
  await page.keyboard.press('Enter');
  await page.getByText('You said: Good day.').waitFor();
  const said = async () => (await page.getByRole('log').innerText()).replace(/\s+/g, ' ');
  assert.doesNotMatch(await said(), /Hello|And again/);
  const { data } = await api('GET', `/threads/${threadOf(page)}/messages?order=asc`);
  assert.deepEqual(
    data.map(({ content }) => content[0].text.value),
    ['Good day.', 'You said: Good day.'],
  );
  await page.reload();
  await page.getByText('You said: Good day.').waitFor();
  assert.doesNotMatch(await said(), /Hello|And again/);
});

test('editing is given up without a trace', async (t) => {
  const page = await chat(t);
  await say(page, 'Hello.');
  await page.getByText('You said: Hello.').waitFor();
  await page.getByRole('button', { name: 'Edit and send again' }).click();
  await page.getByLabel('Your message').fill('Nothing of it.');
  await page.keyboard.press('Escape');
  await page.getByRole('article', { name: 'You' }).getByText('Hello.').waitFor();
  assert.equal(await page.getByLabel('Your message').count(), 0);
});

test('a thread is renamed, and keeps its name', async (t) => {
  const page = await chat(t);
  await say(page, 'Hello.');
  await page.getByText('You said: Hello.').waitFor();
  await choose(page, 'Rename');
  const dialog = page.getByRole('dialog', { name: 'Rename' });
  await dialog.getByLabel('Name').fill('What we said about lamps');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'hidden' });
  for (const isAnew of [false, true]) {
    if (isAnew) await page.reload();
    await page.getByRole('heading', { name: 'What we said about lamps' }).waitFor();
    await page.getByRole('link', { name: /^What we said about lamps/ }).waitFor();
  }
});

test('a name has room at every width, beside an open inspector too', async (t) => {
  const page = await chat(t);
  await say(page, 'How are you today?');
  await page.getByText('You said: How are you today?').waitFor();
  await page.getByRole('button', { name: 'Inspector', exact: true }).click();
  await page.getByRole('tab', { name: 'Steps' }).waitFor();
  await screenshot(page, 'head-beside-inspector');
  for (const width of [1280, 1200, 1024, 820, 768, 390, 360]) {
    await page.setViewportSize({ width, height: 800 });
    if (width === 1024) await closeInspector(page);
    const name = page.locator('#conversation h1');
    const [shown, whole] = await name.evaluate((element) => [element.clientWidth, element.scrollWidth]);
    assert.ok(shown >= whole, `at ${width} the name has ${shown} of ${whole} pixels`);
    await screenshot(page, `head-${width}`);
  }
});

/** Where there is no room beside the chat, it lies over it. */
async function closeInspector(page) {
  const inspector = page.getByRole('dialog', { name: 'Inspector' });
  await inspector.getByRole('button', { name: 'Close' }).click();
  await inspector.waitFor({ state: 'hidden' });
}

test('a thread is deleted, after a question', async (t) => {
  const page = await chat(t);
  await say(page, 'Hello.');
  await page.getByText('You said: Hello.').waitFor();
  const id = threadOf(page);
  await choose(page, 'Delete');
  const question = page.getByRole('dialog', { name: 'Delete this thread?' });
  await question.getByRole('button', { name: 'Cancel' }).click();
  await question.waitFor({ state: 'hidden' });
  await page.getByText('You said: Hello.').waitFor();
  await choose(page, 'Delete');
  await question.getByRole('button', { name: 'Delete' }).click();
  await page.waitForURL(`${SERVER}/threads`);
  assert.equal(await page.locator(`a[href="/threads/${id}"]`).count(), 0);
  const response = await fetch(`${SERVER}/v1/threads/${id}`, { headers: { 'openai-beta': 'assistants=v2' } });
  assert.equal(response.status, 404);
});

test('a list goes on where it is longer than a page takes at first', async (t) => {
  const many = 1_030;
  for (let made = 0; made < many; made += 10) {
    const some = Array.from({ length: 10 }, (_, place) =>
      api('POST', '/threads', { metadata: { title: `Talk ${made + place}` } }),
    );
    await Promise.all(some);
  }
  const page = await visit(t, '/threads');
  const links = page.locator('a[href^="/threads/thread_"]');
  await page.getByText('The newest 1,000 are shown.').waitFor();
  assert.equal(await links.count(), 1_000);
  await page.getByRole('button', { name: 'Show more' }).click();
  await page.getByRole('link', { name: /^Talk 0/ }).waitFor();
  assert.ok((await links.count()) >= many);
  assert.equal(await page.getByRole('button', { name: 'Show more' }).count(), 0);
});
