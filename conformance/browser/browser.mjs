// What all tests in a browser share: pages that are watched, and the model that the suite scripts for them.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after } from 'node:test';

export const { SERVER, GUARDED, KEY, SCREENSHOTS } = process.env;
const require = createRequire(`${process.env.INSTALLED}/package.json`);
const { chromium } = require('playwright-core');
const axe = require('axe-core');

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  // As root there are no namespaces to build its own sandbox from; it loads nothing but the server under test.
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
after(() => browser.close());

const DESK = { width: 1280, height: 860 };
const PHONE = { width: 390, height: 844 };

/**
 * A page of somebody new. Whatever its console complains about fails the test, unless it is `expected`, and so does
 * each request that leaves for another server: the content security policy shows in both.
 */
export async function visit(t, path, options = {}) {
  const { server = SERVER, locale = 'en-US', theme = 'light', phone = false, expected = [], watch } = options;
  const context = await browser.newContext({
    locale,
    colorScheme: theme,
    viewport: phone ? PHONE : DESK,
    hasTouch: phone,
    reducedMotion: 'reduce',
    acceptDownloads: true,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const problems = [];
  page.on('pageerror', (error) => problems.push(`${error}`));
  page.on('console', (line) => {
    if (line.type() === 'error' && !expected.some((words) => words.test(line.text()))) problems.push(line.text());
  });
  page.on('request', (request) => {
    const url = request.url();
    if (!/^(data|blob):/.test(url) && !url.startsWith(`${server}/`)) problems.push(`a request to ${url}`);
  });
  if (watch) page.on('response', watch);
  t.after(async () => {
    await context.close();
    assert.deepEqual(problems, []);
  });
  await page.goto(server + path);
  return page;
}

export async function screenshot(page, name) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
}

/** What hinders people, as far as axe sees it: its findings but the minor ones. */
export async function barriers(page) {
  // As a debugger would, which no policy of the page keeps out.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  return violations
    .filter(({ impact }) => ['moderate', 'serious', 'critical'].includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`);
}

/** A request of a program beside the browser. */
export async function api(method, path, body, server = SERVER) {
  const response = await fetch(`${server}/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  assert.ok(response.ok, `${method} ${path}: ${response.status}`);
  return response.json();
}

export const assistantWith = (options = {}) => api('POST', '/assistants', { model: 'chat-model', ...options });

/** The scripted model waits in the middle of `Slowly.` until it is told this. */
export const letTheModelGoOn = () =>
  api('POST', '/chat/completions', { model: 'chat-model', messages: [{ role: 'user', content: 'Go on.' }] });

export async function say(page, text) {
  await page.getByLabel('Message', { exact: true }).fill(text);
  // Not before the assistant is known that will answer.
  await page.locator('button[aria-label="Send"]:enabled').waitFor();
  await page.keyboard.press('Enter');
}

/** The conversation's last answer. */
export const answer = (page) => page.getByRole('log').getByRole('article').last();
