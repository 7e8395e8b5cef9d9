import type { Assistant } from "../assistants/draft"
import type { Message, Run, RunStep, Thread } from "../threads/objects"
import type { ApiCall } from "./snippets"

// The requests behind what a thread shows, as a program would make them.

export function createAssistant(assistant: Assistant): ApiCall {
  const { id: _id, object: _object, created_at: _created, ...fields } = assistant
  const given = Object.entries(fields).filter(
    ([, value]) => value !== null && value !== "auto" && !isEmpty(value),
  )
  return {
    method: "beta.assistants.create",
    http: "POST",
    path: "/assistants",
    body: Object.fromEntries(given),
  }
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0
}

export function createMessage(message: Message): ApiCall {
  return {
    method: "beta.threads.messages.create",
    http: "POST",
    path: "/threads/{thread_id}/messages",
    ids: { thread_id: message.thread_id },
    body: asSent(message),
  }
}

export function createRun(run: Run): ApiCall {
  return {
    method: "beta.threads.runs.create",
    http: "POST",
    path: "/threads/{thread_id}/runs",
    ids: { thread_id: run.thread_id },
    body: { assistant_id: run.assistant_id, stream: true },
  }
}

/** A thread that says the same, and a run on it, in one request. */
export function createThreadAndRun(run: Run, messages: readonly Message[]): ApiCall {
  return {
    method: "beta.threads.create_and_run",
    http: "POST",
    path: "/threads/runs",
    body: { assistant_id: run.assistant_id, thread: { messages: messages.map(asSent) }, stream: true },
  }
}

/** The outputs of functions that a run was given; null where it called none. */
export function submitOutputs(run: Run, steps: readonly RunStep[]): ApiCall | null {
  const outputs = steps.flatMap(({ step_details }) => {
    if (step_details.type !== "tool_calls") return []
    return step_details.tool_calls.flatMap((call) =>
      call.type === "function" ? [{ tool_call_id: call.id, output: call.function.output ?? "" }] : [],
    )
  })
  if (outputs.length === 0) return null
  return {
    method: "beta.threads.runs.submit_tool_outputs",
    http: "POST",
    path: "/threads/{thread_id}/runs/{run_id}/submit_tool_outputs",
    ids: { thread_id: run.thread_id, run_id: run.id },
    body: { tool_outputs: outputs, stream: true },
  }
}

export function listSteps(run: Run): ApiCall {
  return {
    method: "beta.threads.runs.steps.list",
    http: "GET",
    path: "/threads/{thread_id}/runs/{run_id}/steps",
    ids: { thread_id: run.thread_id, run_id: run.id },
    query: { order: "asc", include: ["step_details.tool_calls[*].file_search.results[*].content"] },
  }
}

export function listMessages(thread: Thread): ApiCall {
  return {
    method: "beta.threads.messages.list",
    http: "GET",
    path: "/threads/{thread_id}/messages",
    ids: { thread_id: thread.id },
    query: { order: "asc" },
  }
}

export function listModelRequests(run: Run): ApiCall {
  return {
    http: "GET",
    path: "/threads/{thread_id}/runs/{run_id}/model_requests",
    ids: { thread_id: run.thread_id, run_id: run.id },
  }
}

export function downloadFile(fileId: string, name: string): ApiCall {
  return {
    method: "files.content",
    http: "GET",
    path: "/files/{file_id}/content",
    ids: { file_id: fileId },
    saveAs: name,
  }
}

/** What a run read: the messages that came before its own. */
export function readBy(run: Run, messages: readonly Message[]): Message[] {
  const own = messages.findIndex(({ run_id }) => run_id === run.id)
  if (own >= 0) return messages.slice(0, own)
  return messages.filter(({ created_at }) => created_at <= run.created_at)
}

function asSent({ role, content, attachments }: Message): Record<string, unknown> {
  const parts = content.flatMap((part): object[] => {
    switch (part.type) {
      case "text":
        return [{ type: "text", text: part.text.value }]
      case "image_file":
      case "image_url":
        return [part]
      case "refusal":
        return [{ type: "text", text: part.refusal }]
    }
  })
  const [only] = content
  const sent = content.length === 1 && only?.type === "text" ? only.text.value : parts
  return { role, content: sent, ...(attachments?.length ? { attachments } : {}) }
}
