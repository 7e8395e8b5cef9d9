// The streaming helpers: every callback that programs use, for text and for function tools.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assistantWith, client, outputsFor, runs, threadWith, weather } from './harness.mjs';

function listen(stream) {
  const heard = { text: '', created: 0, done: [], calls: [], callsDone: [], arguments: '', messages: [] };
  stream
    .on('textCreated', () => (heard.created += 1))
    .on('textDelta', (delta) => (heard.text += delta.value ?? ''))
    .on('textDone', (text) => heard.done.push(text.value))
    .on('toolCallCreated', (call) => heard.calls.push(call.function.name))
    .on('toolCallDelta', (delta) => (heard.arguments += delta.function?.arguments ?? ''))
    .on('toolCallDone', (call) => heard.callsDone.push(call.function.arguments))
    .on('messageDone', (message) => heard.messages.push(message.status));
  return heard;
}

test('text is told piece by piece and as a whole', async () => {
  const [assistant, thread] = [await assistantWith(), await threadWith('안녕 🌮')];
  const stream = client.beta.threads.runs.stream(thread.id, { assistant_id: assistant.id });
  const heard = listen(stream);
  const messages = await stream.finalMessages();
  assert.equal(heard.text, 'You said: 안녕 🌮');
  assert.deepEqual(heard.done, [heard.text]);
  assert.deepEqual([heard.created, heard.messages], [1, ['completed']]);
  assert.equal(messages[0].content[0].text.value, heard.text);
  const steps = await stream.finalRunSteps();
  assert.deepEqual(steps.map((step) => [step.type, step.status]), [['message_creation', 'completed']]);
});

test('words before calls, parallel calls, and the stream after submitting', async () => {
  const [assistant, thread] = [await assistantWith({ tools: [weather] }), await threadWith('weather')];
  const stream = client.beta.threads.runs.stream(thread.id, { assistant_id: assistant.id });
  const heard = listen(stream);
  const run = await stream.finalRun();
  assert.equal(run.status, 'requires_action');
  assert.equal(heard.text, 'Let me look.');
  assert.deepEqual(heard.calls, ['weather', 'weather']);
  assert.equal(heard.arguments, '{"city":"Oslo"}{"city":"서울"}');

  const resumed = runs.submitStream(thread.id, run.id, outputsFor(run, '-5', '18'));
  const after = listen(resumed);
  const finished = await resumed.finalRun();
  assert.equal(finished.status, 'completed');
  assert.equal(after.text, 'It is -5 and 18.');
  const steps = await runs.steps(thread.id, run.id);
  assert.deepEqual(
    steps.data.map((step) => step.type),
    ['message_creation', 'tool_calls', 'message_creation'],
  );
});

test('outputs are submitted from inside the handler', async () => {
  const [assistant, thread] = [await assistantWith({ tools: [weather] }), await threadWith('weather')];
  const stream = client.beta.threads.runs.stream(thread.id, { assistant_id: assistant.id });
  let after;
  const resumed = new Promise((resolve, reject) => {
    stream.on('event', ({ event, data }) => {
      if (event !== 'thread.run.requires_action') return;
      const again = runs.submitStream(thread.id, data.id, outputsFor(data, '-5', '18'));
      after = listen(again);
      again.finalRun().then(resolve, reject);
    });
  });
  const waiting = await stream.finalRun();
  assert.equal(waiting.status, 'requires_action');
  const finished = await resumed;
  assert.deepEqual([finished.id, finished.status], [waiting.id, 'completed']);
  assert.equal(after.text, 'It is -5 and 18.');
});

test('a long answer in many deltas', async () => {
  const [assistant, thread] = [await assistantWith(), await threadWith('count')];
  const stream = client.beta.threads.runs.stream(thread.id, { assistant_id: assistant.id });
  const heard = listen(stream);
  const [message] = await stream.finalMessages();
  const expected = Array.from({ length: 6000 }, (_, n) => `${n} `).join('');
  assert.equal(heard.text, expected);
  assert.equal(message.content[0].text.value, expected);
});

test('a stream is an async iterator of events', async () => {
  const [assistant, thread] = [await assistantWith(), await threadWith('Hi')];
  const body = { assistant_id: assistant.id, stream: true };
  const names = [];
  for await (const event of await client.beta.threads.runs.create(thread.id, body)) {
    names.push(event.event);
  }
  assert.equal(names[0], 'thread.run.created');
  assert.ok(names.includes('thread.run.completed'));
});

test('thread and run in one stream', async () => {
  const assistant = await assistantWith();
  const thread = { messages: [{ role: 'user', content: 'Hi' }] };
  const stream = client.beta.threads.createAndRunStream({ assistant_id: assistant.id, thread });
  const heard = listen(stream);
  await stream.done();
  assert.equal(heard.text, 'You said: Hi');
});

test('leaving a stream early is no error', async () => {
  const [assistant, thread] = [await assistantWith(), await threadWith('Hi')];
  const body = { assistant_id: assistant.id, stream: true };
  for await (const event of await client.beta.threads.runs.create(thread.id, body)) {
    if (event.event === 'thread.run.created') break;
  }
});
