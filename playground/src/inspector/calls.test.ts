import { expect, it } from "vitest"
import type { Assistant } from "../assistants/draft"
import type { Message, Run, RunStep } from "../threads/objects"
import { createAssistant, createMessage, createThreadAndRun, readBy, submitOutputs } from "./calls"

const run = { id: "run_1", thread_id: "thread_1", assistant_id: "asst_1", created_at: 5 } as Run

function message(id: string, text: string, fields: Partial<Message> = {}): Message {
  const content = [{ type: "text", text: { value: text, annotations: [] } }]
  const base = {
    id,
    thread_id: "thread_1",
    role: "user",
    run_id: null,
    created_at: 1,
    content,
    attachments: [],
  }
  return { ...base, ...fields } as Message
}

it("sends a message of words as text", () => {
  expect(createMessage(message("msg_1", "Hi")).body).toEqual({ role: "user", content: "Hi" })
})

it("sends pictures and attachments, too", () => {
  const attachments = [{ file_id: "file-2", tools: [{ type: "file_search" as const }] }]
  const content = [
    { type: "text" as const, text: { value: "See", annotations: [] } },
    { type: "image_file" as const, image_file: { file_id: "file-1" } },
  ]
  expect(createMessage(message("msg_1", "", { content, attachments })).body).toEqual({
    role: "user",
    content: [
      { type: "text", text: "See" },
      { type: "image_file", image_file: { file_id: "file-1" } },
    ],
    attachments,
  })
})

it("says in a new thread what the run read, and not what it answered", () => {
  const messages = [
    message("msg_1", "Hi"),
    message("msg_2", "Hello", { role: "assistant", run_id: "run_1", created_at: 6 }),
    message("msg_3", "Thanks", { created_at: 7 }),
  ]
  expect(createThreadAndRun(run, readBy(run, messages)).body).toEqual({
    assistant_id: "asst_1",
    thread: { messages: [{ role: "user", content: "Hi" }] },
    stream: true,
  })
  expect(readBy({ ...run, id: "run_2" }, messages).map(({ id }) => id)).toEqual(["msg_1"])
})

it("submits what functions were answered", () => {
  const call = { id: "call_1", type: "function", function: { name: "f", arguments: "{}", output: "3" } }
  const steps = [{ step_details: { type: "tool_calls", tool_calls: [call] } }] as RunStep[]
  expect(submitOutputs(run, steps)?.body).toEqual({
    tool_outputs: [{ tool_call_id: "call_1", output: "3" }],
    stream: true,
  })
  expect(submitOutputs(run, [])).toBeNull()
})

it("makes an assistant of what was set, and not of what is so anyway", () => {
  const assistant = {
    id: "asst_1",
    object: "assistant",
    created_at: 1,
    name: "Tutor",
    description: null,
    model: "m",
    tools: [],
    metadata: {},
    tool_resources: {},
    response_format: "auto",
    temperature: 0.2,
  } as unknown as Assistant
  expect(createAssistant(assistant).body).toEqual({ name: "Tutor", model: "m", temperature: 0.2 })
})
