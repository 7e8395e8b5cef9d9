// Polling helpers, lists and errors.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OpenAI, assistantWith, client, outputsFor, runs, threadWith, weather } from './harness.mjs';

const QUICK = { pollIntervalMs: 50 };

test('create and poll, submit and poll', async () => {
  const [assistant, thread] = [await assistantWith({ tools: [weather] }), await threadWith('weather')];
  const body = { assistant_id: assistant.id };
  const waiting = await client.beta.threads.runs.createAndPoll(thread.id, body, QUICK);
  assert.equal(waiting.status, 'requires_action');
  const run = await runs.submitAndPoll(thread.id, waiting.id, outputsFor(waiting, '-5', '18'));
  assert.equal(run.status, 'completed');
  assert.equal(run.usage.total_tokens, run.usage.prompt_tokens + run.usage.completion_tokens);
});

test('thread and run in one call', async () => {
  const assistant = await assistantWith();
  const thread = { messages: [{ role: 'user', content: 'Hi' }] };
  const body = { assistant_id: assistant.id, thread };
  const run = await client.beta.threads.createAndRunPoll(body, QUICK);
  assert.equal(run.status, 'completed');
});

test('lists page by themselves', async () => {
  const messages = Array.from({ length: 25 }, (_, n) => ({ role: 'user', content: `m${n}` }));
  const thread = await client.beta.threads.create({ messages });
  const texts = [];
  for await (const message of client.beta.threads.messages.list(thread.id, { limit: 10, order: 'asc' })) {
    texts.push(message.content[0].text.value);
  }
  assert.deepEqual(texts, messages.map((message) => message.content));
});

test('errors are the classes that programs catch', async () => {
  await assert.rejects(client.beta.threads.retrieve('thread_abc'), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.error.message, "No thread found with id 'thread_abc'.");
    return true;
  });
  const unknown = client.beta.assistants.create({ model: 'm', colour: 'red' });
  await assert.rejects(unknown, (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.deepEqual([error.code, error.param], ['unknown_parameter', 'colour']);
    return true;
  });
});

test('a busy thread refuses a message, and a cancelled run frees it', async () => {
  const [assistant, thread] = [await assistantWith({ tools: [weather] }), await threadWith('weather')];
  const body = { assistant_id: assistant.id };
  const run = await client.beta.threads.runs.createAndPoll(thread.id, body, QUICK);
  const message = { role: 'user', content: 'And now?' };
  const refused = client.beta.threads.messages.create(thread.id, message);
  await assert.rejects(refused, /Can't add messages to thread_\w+ while a run run_\w+ is active\./);
  await runs.cancel(thread.id, run.id);
  let seen = run;
  while (seen.status !== 'cancelled') {
    assert.ok(['requires_action', 'cancelling'].includes(seen.status), seen.status);
    seen = await runs.retrieve(thread.id, run.id);
  }
  await client.beta.threads.messages.create(thread.id, message);
});
