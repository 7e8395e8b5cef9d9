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
