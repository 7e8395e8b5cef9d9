// Files into a chat, and out of it again.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { answer, api, assistantWith, say, screenshot, visit } from './browser.mjs';

const PLANTS = { name: 'plants.md', mimeType: 'text/markdown', buffer: Buffer.from('# The moon\n\nOnly moonflowers grow there.\n') };
// One red pixel.
const PIXEL = {
  name: 'pixel.png',
  mimeType: 'image/png',
  buffer: Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==',
    'base64',
  ),
};

async function chat(t, tools, options = {}) {
  const assistant = await assistantWith({ name: 'Reader', tools: tools.map((type) => ({ type })) });
  return visit(t, `/threads?assistant=${assistant.id}`, options);
}

/** Chooses a file as people do: by the paper clip. */
async function attach(page, file) {
  const choosing = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Attach files' }).click();
  await (await choosing).setFiles(file);
}

test('a document is attached, shown on its message, and searched', async (t) => {
  const page = await chat(t, ['file_search']);
  await attach(page, PLANTS);
  const attached = page.getByRole('list', { name: 'Attached files' });
  await attached.getByText('plants.md').waitFor();
  await attached.getByRole('button', { name: 'How plants.md is used: Searched' }).waitFor();
  await say(page, 'What grows on the moon?');
  // The passage that was found says so too, within a sentence.
  await page.getByText(/^Moonflowers grow there/).waitFor();
  await attached.waitFor({ state: 'hidden' });
  const question = page.getByRole('article', { name: 'You' });
  assert.match(await question.innerText(), /plants\.md\s+Searched/);
  await answer(page).getByRole('button', { name: 'Source 1: plants.md' }).first().click();
  await page.getByRole('dialog').getByText('Only moonflowers grow there.').first().waitFor();
  await page.keyboard.press('Escape');
  await screenshot(page, 'attachment');
  await page.reload();
  await question.getByText('plants.md').waitFor();
});

test('a picture is attached, and shown to the model', async (t) => {
  const page = await chat(t, []);
  await attach(page, PIXEL);
  await page.getByRole('button', { name: 'How pixel.png is used: Shown to the model' }).waitFor();
  await say(page, 'Look.');
  await page.getByText('I see 1 picture.').waitFor();
  await page.getByRole('article', { name: 'You' }).getByRole('img', { name: 'Picture pixel.png' }).waitFor();
});

test('an attached file is taken away again, and one that no tool reads is said to be unseen', async (t) => {
  const page = await chat(t, []);
  await attach(page, PLANTS);
  await page.getByText('This assistant does not search files, so it will not see plants.md.').waitFor();
  await page.getByRole('button', { name: 'Remove plants.md' }).click();
  await page.getByRole('list', { name: 'Attached files' }).waitFor({ state: 'hidden' });
});

test('a file that code wrote is taken home from the chat', async (t) => {
  const page = await chat(t, ['code_interpreter']);
  await say(page, 'Make a file.');
  const link = answer(page).getByRole('button', { name: 'the report' });
  await link.waitFor({ timeout: 90_000 });
  const downloading = page.waitForEvent('download');
  await link.click();
  const download = await downloading;
  assert.equal(download.suggestedFilename(), 'report.csv');
  assert.equal(await readFile(await download.path(), 'utf8'), 'lamp,price\n1,9\n');
});

test('a plot opens in full, and is taken home from the files', async (t) => {
  const page = await chat(t, ['code_interpreter']);
  await say(page, 'Draw it.');
  const figure = answer(page).locator('img').first();
  await figure.waitFor({ timeout: 90_000 });
  const opening = page.context().waitForEvent('page');
  await figure.click();
  const opened = await opening;
  await opened.waitForLoadState();
  assert.match(opened.url(), /^blob:/);
  await opened.close();

  const { data } = await api('GET', '/files?purpose=assistants_output&order=desc');
  const plot = data.find(({ filename }) => filename.endsWith('.png'));
  await page.goto(new URL(`/files/${plot.id}`, page.url()).href);
  const downloading = page.waitForEvent('download');
  await page.getByRole('dialog').getByRole('button', { name: 'Download' }).click();
  const bytes = await readFile(await (await downloading).path());
  assert.equal(bytes.subarray(1, 4).toString(), 'PNG');
  assert.equal(bytes.length, plot.bytes);
});

test('what was uploaded has no download where the server keeps it to itself', async (t) => {
  const form = new FormData();
  form.append('purpose', 'assistants');
  form.append('file', new Blob(['secret']), 'secret.txt');
  const response = await fetch(`${process.env.SERVER}/v1/files`, { method: 'POST', body: form });
  const page = await visit(t, `/files/${(await response.json()).id}`);
  const drawer = page.getByRole('dialog', { name: 'secret.txt' });
  await drawer.getByRole('button', { name: 'Delete' }).waitFor();
  assert.equal(await drawer.getByRole('button', { name: 'Download' }).count(), 0);
});

test('what was uploaded is given back where the settings say so', async (t) => {
  const server = process.env.GUARDED;
  const form = new FormData();
  form.append('purpose', 'assistants');
  form.append('file', new Blob(['not secret']), 'open.txt');
  const headers = { authorization: `Bearer ${process.env.KEY}` };
  const response = await fetch(`${server}/v1/files`, { method: 'POST', body: form, headers });
  const page = await visit(t, `/files/${(await response.json()).id}`, { server, expected: [/401/] });
  await page.getByLabel('API key').first().fill(process.env.KEY);
  await page.getByRole('button', { name: 'Continue' }).click();
  const downloading = page.waitForEvent('download');
  await page.getByRole('dialog', { name: 'open.txt' }).getByRole('button', { name: 'Download' }).click();
  assert.equal(await readFile(await (await downloading).path(), 'utf8'), 'not secret');
});
