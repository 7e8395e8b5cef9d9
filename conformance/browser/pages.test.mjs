// Each page in both languages, both themes and on a phone: what is on it, what hinders, how it looks.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { api, assistantWith, barriers, SERVER, screenshot, visit } from './browser.mjs';

/** What all script of a first page may weigh, compressed. */
const FIRST_LOAD_BYTES = 400_000;

const NAMES = {
  en: { assistants: 'Assistants', threads: 'Threads', files: 'Files', stores: 'Vector stores' },
  ko: JSON.parse(process.env.KOREAN),
};

const pages = {};

before(async () => {
  const form = new FormData();
  form.append('purpose', 'assistants');
  form.append('file', new Blob(['# Returns\n\nLamps: within 30 days. 환불은 30일 안에.\n']), 'returns.md');
  const file = await (await fetch(`${SERVER}/v1/files`, { method: 'POST', body: form })).json();
  const store = await api('POST', '/vector_stores', { name: 'Shop', file_ids: [file.id] });
  const assistant = await assistantWith({
    name: 'Lamp shop',
    instructions: 'Be brief.',
    tools: [{ type: 'file_search' }, { type: 'code_interpreter' }],
    tool_resources: { file_search: { vector_store_ids: [store.id] } },
  });
  const run = await api('POST', '/threads/runs', {
    assistant_id: assistant.id,
    thread: { messages: [{ role: 'user', content: 'Explain.' }] },
  });
  let status = run.status;
  while (['queued', 'in_progress'].includes(status)) {
    status = (await api('GET', `/threads/${run.thread_id}/runs/${run.id}`)).status;
  }
  assert.equal(status, 'completed');
  Object.assign(pages, {
    assistants: `/assistants/${assistant.id}`,
    threads: `/threads/${run.thread_id}`,
    files: `/files/${file.id}`,
    stores: `/vector-stores/${store.id}`,
  });
});

/** Waits until a page shows what the server told. */
async function settle(page) {
  await page.waitForLoadState('networkidle');
  await page.getByRole('main').waitFor();
}

for (const [language, locale] of [['en', 'en-US'], ['ko', 'ko-KR']]) {
  for (const theme of ['light', 'dark']) {
    for (const phone of [false, true]) {
      const how = `${language}-${theme}${phone ? '-phone' : ''}`;
      test(`every page is open to all: ${how}`, async (t) => {
        for (const [name, path] of Object.entries(pages)) {
          const page = await visit(t, path, { locale, theme, phone });
          await settle(page);
          assert.equal(await page.locator('html').getAttribute('lang'), language);
          await page.waitForFunction((title) => document.title.startsWith(title), NAMES[language][name]);
          await screenshot(page, `${name}-${how}`);
          assert.deepEqual(await barriers(page), [], `${path} ${how}`);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(wide <= 0, `${path} is ${wide} pixels wider than its window`);
          await page.context().close();
        }
      });
    }
  }
}

test('the language is chosen and stays chosen', async (t) => {
  const page = await visit(t, '/assistants');
  await page.getByRole('button', { name: 'Language' }).click();
  await page.getByRole('menuitem', { name: '한국어' }).click();
  await page.getByRole('link', { name: NAMES.ko.threads, exact: true }).waitFor();
  await page.reload();
  await page.getByRole('link', { name: NAMES.ko.threads, exact: true }).waitFor();
});

test('all can be reached by keyboard', async (t) => {
  const page = await visit(t, '/assistants');
  await settle(page);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Skip to content');
  for (const name of Object.values(NAMES.en)) {
    const link = page.getByRole('link', { name, exact: true });
    for (let presses = 0; presses < 20; presses += 1) {
      if (await link.evaluate((element) => element === document.activeElement)) break;
      await page.keyboard.press('Tab');
    }
    assert.ok(await link.evaluate((element) => element === document.activeElement), name);
  }
});

test('a page that does not exist says so', async (t) => {
  const page = await visit(t, '/nowhere');
  await page.getByText('There is no such page').waitFor();
});

for (const path of ['/assistants', '/threads', '/files', '/vector-stores']) {
  test(`the script of a first load is light: ${path}`, async (t) => {
    const scripts = [];
    const watch = (response) => response.url().endsWith('.js') && scripts.push(response);
    const page = await visit(t, path, { watch });
    await settle(page);
    const bytes = await Promise.all(scripts.map(async (script) => gzipSync(await script.body()).length));
    const sum = bytes.reduce((all, some) => all + some, 0);
    t.diagnostic(`${path}: ${scripts.length} scripts, ${sum} bytes compressed`);
    assert.ok(sum > 0 && sum < FIRST_LOAD_BYTES, `${sum} bytes`);
  });
}
