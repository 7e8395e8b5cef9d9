// Searching files: the streaming helpers, citations, and what `include` shows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assistantWith, client, runs } from './harness.mjs';

const INCLUDE = ['step_details.tool_calls[*].file_search.results[*].content'];
const TEXT = 'Filip likes cake.';

async function threadWithFile() {
  const file = new File([TEXT], 'foods.txt', { type: 'text/plain' });
  const { id } = await client.files.create({ file, purpose: 'assistants' });
  const attachments = [{ file_id: id, tools: [{ type: 'file_search' }] }];
  const thread = await client.beta.threads.create({
    messages: [{ role: 'user', content: 'search', attachments }],
  });
  return { file: id, thread };
}

test('a search and its citation stream, and add up', async () => {
  const assistant = await assistantWith({ tools: [{ type: 'file_search' }] });
  const { file, thread } = await threadWithFile();
  const stream = client.beta.threads.runs.stream(thread.id, { assistant_id: assistant.id });
  const heard = { text: '', calls: [], annotations: [] };
  stream
    .on('textDelta', (delta) => {
      heard.text += delta.value ?? '';
      heard.annotations.push(...(delta.annotations ?? []));
    })
    .on('toolCallCreated', (call) => heard.calls.push(call.type));
  const [message] = await stream.finalMessages();
  const { value, annotations } = message.content[0].text;
  assert.equal(value, '케이크 【4:0†foods.txt】 👋🏽.');
  assert.equal(heard.text, value);
  assert.deepEqual(heard.calls, ['file_search']);
  assert.equal(heard.annotations.length, 1);
  const [citation] = annotations;
  assert.deepEqual([citation.start_index, citation.end_index], [4, 19]);
  assert.equal(value.slice(citation.start_index, citation.end_index), citation.text);
  assert.equal(citation.file_citation.file_id, file);
  const run = await stream.finalRun();
  const steps = await runs.steps(thread.id, run.id, { include: INCLUDE });
  const [result] = steps.data[0].step_details.tool_calls[0].file_search.results;
  assert.deepEqual([result.file_id, result.content[0].text], [file, TEXT]);
});
