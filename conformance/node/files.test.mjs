// Files and uploads, as programs for Node send them: the purpose after the file.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { OpenAI, client, deleteFile, toFile } from './harness.mjs';

test('a file goes in and comes out', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'adjutant-')), '한글 메모.txt');
  writeFileSync(path, 'tacos 🌮');
  const file = await client.files.create({ file: createReadStream(path), purpose: 'vision' });
  assert.equal(file.filename, '한글 메모.txt');
  assert.deepEqual(await client.files.retrieve(file.id), file);
  const answer = await client.files.content(file.id);
  assert.equal(await answer.text(), 'tacos 🌮');
  const ids = [];
  for await (const listed of client.files.list({ purpose: 'vision' })) ids.push(listed.id);
  assert.ok(ids.includes(file.id));
  const deleted = await deleteFile(file.id);
  assert.deepEqual(deleted, { object: 'file', deleted: true, id: file.id });
  await assert.rejects(client.files.retrieve(file.id), OpenAI.NotFoundError);
});

test('a file that expires says when', async () => {
  const file = await client.files.create({
    file: await toFile(Buffer.from('x'), 'x.txt'),
    purpose: 'user_data',
    expires_after: { anchor: 'created_at', seconds: 3600 },
  });
  assert.equal(file.expires_at, file.created_at + 3600);
});

test('files go into a store and are waited for', async () => {
  const stores = client.vectorStores;
  const { id: store } = await stores.create({ name: 'shelf' });
  const named = (number) => toFile(Buffer.from(`number ${number}`), `${number}.txt`);
  const alone = await stores.files.uploadAndPoll(store, await named(0), { pollIntervalMs: 50 });
  assert.deepEqual([alone.status, alone.vector_store_id], ['completed', store]);
  const files = await Promise.all([1, 2, 3].map(named));
  const batch = await stores.fileBatches.uploadAndPoll(store, { files }, { pollIntervalMs: 50 });
  assert.deepEqual([batch.status, batch.file_counts.completed], ['completed', 3]);
  const { id: file } = await client.files.create({ file: await named(4), purpose: 'assistants' });
  assert.equal((await client.files.waitForProcessing(file)).status, 'processed');
  const attached = await stores.files.createAndPoll(store, { file_id: file }, { pollIntervalMs: 50 });
  assert.equal(attached.status, 'completed');
  const listed = [];
  for await (const { id } of stores.files.list(store, { filter: 'completed', limit: 2 })) listed.push(id);
  assert.equal(listed.length, 5);
  assert.equal((await stores.retrieve(store)).file_counts.completed, 5);
});

test('parts become a file', async () => {
  const body = { filename: 'a.txt', purpose: 'assistants', bytes: 6, mime_type: 'text/plain' };
  const upload = await client.uploads.create(body);
  const parts = [];
  for (const text of ['abc', 'def']) {
    const data = await toFile(Buffer.from(text), 'part');
    parts.push(await client.uploads.parts.create(upload.id, { data }));
  }
  const md5 = createHash('md5').update('abcdef').digest('hex');
  const done = await client.uploads.complete(upload.id, { part_ids: parts.map((part) => part.id), md5 });
  assert.equal(done.status, 'completed');
  assert.equal(done.file.bytes, 6);
  await assert.rejects(client.uploads.cancel(upload.id), OpenAI.BadRequestError);
});
