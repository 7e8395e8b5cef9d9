// The pages as a screen reader has them: names, landmarks, what is read out, and where the keyboard goes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { api, assistantWith, letTheModelGoOn, SERVER, say, visit } from './browser.mjs';

/** What can be used, and must therefore be called something. */
const USED = ['button', 'link', 'textbox', 'searchbox', 'combobox', 'switch', 'slider', 'tab', 'menuitem', 'spinbutton'];

/** The accessibility tree's nodes of these roles, as the browser gives them to a screen reader. */
async function tree(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  await session.detach();
  return nodes
    .filter(({ ignored }) => !ignored)
    .map(({ role, name }) => ({ role: role?.value, name: name?.value?.trim() ?? '' }));
}

async function nameless(page) {
  const nodes = await tree(page);
  return nodes.filter(({ role, name }) => USED.includes(role) && name === '').map(({ role }) => role);
}

async function chat(t, options = {}) {
  const assistant = await assistantWith({ name: 'Talker', tools: [{ type: 'file_search' }] });
  const page = await visit(t, `/threads?assistant=${assistant.id}`, options);
  await page.getByText('Write a message to Talker.').waitFor();
  return page;
}

/** Everything that live regions say from now on, in order, each once. */
async function listen(page) {
  await page.evaluate(() => {
    window.heard = [];
    const hear = () => {
      for (const region of document.querySelectorAll('[role=status][aria-live=polite]')) {
        const text = region.textContent.trim();
        if (text && window.heard.at(-1) !== text) window.heard.push(text);
      }
    };
    new MutationObserver(hear).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  return () => page.evaluate(() => window.heard);
}

test('an answer is read out once it is whole, and how far it is before', async (t) => {
  const page = await chat(t);
  await say(page, 'Hello.');
  await page.getByText('You said: Hello.').waitFor();
  const heard = await listen(page);
  await say(page, 'Slowly.');
  await page.getByText('The first half').waitFor();
  const log = page.getByRole('log');
  assert.equal(await log.getAttribute('aria-busy'), 'true');
  await letTheModelGoOn();
  await page.getByText('The first half and the second.').waitFor();
  await page.getByRole('status').getByText('The answer is complete.').waitFor({ state: 'attached' });
  assert.equal(await log.getAttribute('aria-busy'), 'false');
  assert.deepEqual((await heard()).slice(-2), ['Writing…', 'The answer is complete.']);
  assert.ok(!(await heard()).some((text) => text.includes('first half')), 'words are not read as they stream');
});

test('a conversation is a list of who said what', async (t) => {
  const page = await chat(t);
  await say(page, 'Hello.');
  await page.getByText('You said: Hello.').waitFor();
  await page.getByRole('button', { name: 'Answer again' }).waitFor();
  const conversation = page.getByRole('region', { name: 'Conversation' });
  const snapshot = await conversation.ariaSnapshot();
  assert.match(snapshot, /- log:/);
  assert.match(snapshot, /- article "You":[^]*paragraph: Hello\.[^]*- article "Talker":[^]*You said: Hello\./);
  for (const name of ['Copy the text', 'Edit and send again', 'Answer again', 'Show in the inspector']) {
    assert.match(snapshot, new RegExp(`button "${name}"`), snapshot);
  }
});

test('each page has its landmarks once, and a name for all that can be used', async (t) => {
  const store = await api('POST', '/vector_stores', { name: 'Shop' });
  const assistant = await assistantWith({
    name: 'Everything',
    tools: [
      { type: 'file_search' },
      { type: 'code_interpreter' },
      { type: 'function', function: { name: 'get_weather', parameters: { type: 'object', properties: {} } } },
    ],
    tool_resources: { file_search: { vector_store_ids: [store.id] } },
  });
  const paths = [`/assistants/${assistant.id}`, '/files', `/vector-stores/${store.id}`, '/threads'];
  for (const phone of [false, true]) {
    for (const path of paths) {
      const page = await visit(t, path, { phone });
      await page.waitForLoadState('networkidle');
      const nodes = await tree(page);
      const count = (role) => nodes.filter((node) => node.role === role).length;
      assert.equal(count('main'), 1, path);
      assert.ok(count('banner') <= 1, `${path} has ${count('banner')} banners`);
      const headings = await page.getByRole('heading', { level: 1 }).count();
      // Beside a list, what was chosen from it has one as well.
      assert.equal(headings, path === '/files' || phone ? 1 : 2, `${path} ${phone ? 'on a phone' : ''}`);
      assert.deepEqual(await nameless(page), [], `${path} ${phone ? 'on a phone' : ''}`);
    }
  }
});

test('the inspector names what it has, beside the chat and over it', async (t) => {
  for (const phone of [false, true]) {
    const page = await chat(t, { phone });
    await say(page, 'Hello.');
    await page.getByText('You said: Hello.').waitFor();
    await page.getByRole('button', { name: 'Inspector', exact: true }).click();
    const inspector = phone
      ? page.getByRole('dialog', { name: 'Inspector' })
      : page.getByRole('complementary', { name: 'Inspector' });
    for (const name of ['Steps', 'Events', 'Model', 'Code']) {
      await inspector.getByRole('tab', { name, exact: true }).click();
      await inspector.getByRole('tabpanel', { name, exact: true }).waitFor();
      assert.deepEqual(await nameless(page), [], name);
    }
    const banners = (await tree(page)).filter(({ role }) => role === 'banner');
    assert.ok(banners.length <= 1, `${banners.length} banners`);
  }
});

/** Whether the keyboard stays within a dialog however often it goes on. */
async function holdsFocus(page, dialog) {
  for (const key of ['Tab', 'Shift+Tab']) {
    for (let presses = 0; presses < 8; presses += 1) {
      await page.keyboard.press(key);
      const isWithin = await dialog.evaluate((element) => element.contains(document.activeElement));
      assert.ok(isWithin, `${key} leaves the dialog`);
    }
  }
}

test('dialogs hold the keyboard, close with Escape, and give it back', async (t) => {
  const page = await chat(t, { phone: true });
  await say(page, 'Hello.');
  await page.getByText('You said: Hello.').waitFor();
  const actions = page.getByRole('button', { name: 'What can be done with this thread' });
  for (const [item, title] of [['Rename', 'Rename'], ['Delete', 'Delete this thread?']]) {
    await actions.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('menuitem', { name: item }).focus();
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: title });
    await dialog.waitFor();
    await page.waitForFunction(() => document.activeElement?.closest('[role=dialog]'));
    await holdsFocus(page, dialog);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    await page.waitForFunction(() => document.activeElement !== document.body);
    assert.equal(await actions.evaluate((element) => element === document.activeElement), true, item);
  }
  const inspector = page.getByRole('button', { name: 'Inspector', exact: true });
  await inspector.focus();
  await page.keyboard.press('Enter');
  const drawer = page.getByRole('dialog', { name: 'Inspector' });
  await drawer.waitFor();
  await page.waitForFunction(() => document.activeElement?.closest('[role=dialog]'));
  await holdsFocus(page, drawer);
  await page.keyboard.press('Escape');
  await drawer.waitFor({ state: 'hidden' });
  await page.waitForFunction(() => document.activeElement?.getAttribute('aria-label') === 'Inspector');
});

test('what fails is told at once', async (t) => {
  const page = await visit(t, '/threads', { expected: [/net::ERR_FAILED/] });
  await page.getByRole('heading', { name: 'Threads' }).first().waitFor();
  await page.route(`${SERVER}/v1/**`, (route) => route.abort());
  await page.getByRole('link', { name: 'Files', exact: true }).click();
  await page.getByRole('alert').getByText('The server does not answer').waitFor();
});
