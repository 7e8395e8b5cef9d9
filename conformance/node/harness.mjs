// What all Node tests share: the client under test, with its traffic written down for the checkers.
import { appendFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { BASE_URL, MODEL, SDK, SDK_FOLDER, TRAFFIC } = process.env;
const require = createRequire(`${SDK_FOLDER}/package.json`);
export const { default: OpenAI, toFile } = require('openai');
export const model = MODEL;

function enter(request, response, chunks, aborted) {
  const line = {
    method: request.method,
    path: request.path,
    status: response.status,
    type: response.headers.get('content-type') ?? '',
    aborted,
    body: Buffer.concat(chunks).toString('base64'),
  };
  appendFileSync(TRAFFIC, `${JSON.stringify(line)}\n`);
}

/** `fetch`, whose answers pass through unchanged and are written down when they end. */
async function watchedFetch(url, init = {}) {
  const { pathname, search } = new URL(url);
  const request = { method: (init.method ?? 'GET').toUpperCase(), path: pathname + search };
  // The old SDK uploads files as streams, which this `fetch` takes only if it is told so.
  const response = await fetch(url, { duplex: 'half', ...init });
  const chunks = [];
  const watch = new TransformStream({
    transform(chunk, controller) {
      chunks.push(Buffer.from(chunk));
      controller.enqueue(chunk);
    },
    flush: () => enter(request, response, chunks, false),
    cancel: () => enter(request, response, chunks, true),
  });
  const { status, headers } = response;
  if (!response.body) {
    enter(request, response, [], false);
    return response;
  }
  return new Response(response.body.pipeThrough(watch), { status, headers });
}

export const client = new OpenAI({
  baseURL: BASE_URL,
  apiKey: 'anything',
  maxRetries: 0,
  fetch: watchedFetch,
});

export const weather = {
  type: 'function',
  function: {
    name: 'weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
};

export async function assistantWith(options = {}) {
  return client.beta.assistants.create({ model, ...options });
}

export async function threadWith(text) {
  return client.beta.threads.create({ messages: [{ role: 'user', content: text }] });
}

/** The two generations of the SDK name their parameters differently. */
const isOld = SDK === 'old';
export const runs = {
  retrieve: (threadId, runId) =>
    isOld
      ? client.beta.threads.runs.retrieve(threadId, runId)
      : client.beta.threads.runs.retrieve(runId, { thread_id: threadId }),
  cancel: (threadId, runId) =>
    isOld
      ? client.beta.threads.runs.cancel(threadId, runId)
      : client.beta.threads.runs.cancel(runId, { thread_id: threadId }),
  submitAndPoll: (threadId, runId, tool_outputs) =>
    isOld
      ? client.beta.threads.runs.submitToolOutputsAndPoll(threadId, runId, { tool_outputs })
      : client.beta.threads.runs.submitToolOutputsAndPoll(runId, { thread_id: threadId, tool_outputs }),
  submitStream: (threadId, runId, tool_outputs) =>
    isOld
      ? client.beta.threads.runs.submitToolOutputsStream(threadId, runId, { tool_outputs })
      : client.beta.threads.runs.submitToolOutputsStream(runId, { thread_id: threadId, tool_outputs }),
  steps: (threadId, runId, query = {}) =>
    isOld
      ? client.beta.threads.runs.steps.list(threadId, runId, { order: 'asc', ...query })
      : client.beta.threads.runs.steps.list(runId, { thread_id: threadId, order: 'asc', ...query }),
};

export function outputsFor(run, ...outputs) {
  const calls = run.required_action.submit_tool_outputs.tool_calls;
  return calls.map((call, index) => ({ tool_call_id: call.id, output: outputs[index] }));
}

export const deleteFile = (id) => (isOld ? client.files.del(id) : client.files.delete(id));
