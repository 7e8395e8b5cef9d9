// The promised program, in JavaScript, by polling.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { client, model } from './harness.mjs';

test('the math tutor answers', async () => {
  const assistant = await client.beta.assistants.create({
    name: 'Math Tutor',
    instructions: 'You are a personal math tutor. Write and run code to answer math questions.',
    tools: [{ type: 'code_interpreter' }],
    model,
  });
  assert.equal(assistant.tools[0].type, 'code_interpreter');
  const thread = await client.beta.threads.create();
  const question = { role: 'user', content: '3x + 11 = 14. What is x?' };
  await client.beta.threads.messages.create(thread.id, question);
  const run = await client.beta.threads.runs.createAndPoll(
    thread.id,
    { assistant_id: assistant.id },
    { pollIntervalMs: 50 },
  );
  assert.equal(run.status, 'completed');
  const messages = await client.beta.threads.messages.list(thread.id);
  assert.equal(messages.data[0].content[0].text.value, 'x = 1.');
});

test('the math tutor streams', async () => {
  const assistant = await client.beta.assistants.create({ model });
  const messages = [{ role: 'user', content: '한국의 수도는?' }];
  const thread = await client.beta.threads.create({ messages });
  let text = '';
  const stream = client.beta.threads.runs.stream(thread.id, { assistant_id: assistant.id });
  stream.on('textDelta', (delta) => (text += delta.value));
  const run = await stream.finalRun();
  assert.equal(run.status, 'completed');
  assert.equal(text, 'You said: 한국의 수도는?');
});
