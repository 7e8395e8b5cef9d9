import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { conversation } from "./entries"
import type { ThreadSession } from "./session"

// A session against a server that says what each test writes, over a real connection.

type Answer = (request: IncomingMessage, response: ServerResponse) => void

let server: Server
let asked: string[]
let answers: Map<string, Answer>
let session: ThreadSession

beforeEach(async () => {
  asked = []
  answers = new Map()
  server = createServer((request, response) => {
    const call = `${request.method} ${request.url?.split("?")[0]?.replace("/v1/threads/thread_1", "")}`
    asked.push(call)
    const answer = answers.get(call)
    if (answer) answer(request, response)
    else json({ error: { message: `Nothing answers ${call}.` } }, 404)(request, response)
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  vi.resetModules()
  vi.stubGlobal("location", { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  vi.stubGlobal("sessionStorage", { getItem: () => null })
  // The client keeps the address that it first met.
  const { ThreadSession: Fresh } = await import("./session")
  session = new Fresh("thread_1")
  answers.set("GET /messages", list())
  answers.set("GET /runs", list())
})

afterEach(async () => {
  session.close()
  server.closeAllConnections()
  await new Promise((closed) => server.close(closed))
  vi.unstubAllGlobals()
})

function json(body: object, status = 200): Answer {
  return (_, response) => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
  }
}

function list(...data: object[]): Answer {
  return json({ object: "list", data, has_more: false })
}

function run(status: string): object {
  return { id: "run_1", object: "thread.run", thread_id: "thread_1", status, created_at: 5, metadata: {} }
}

function said(id: string, text: string, fields: object = {}): object {
  const content = [{ type: "text", text: { value: text, annotations: [] } }]
  const base = {
    id,
    object: "thread.message",
    thread_id: "thread_1",
    role: "user",
    run_id: null,
    created_at: 1,
  }
  return { ...base, content, ...fields }
}

function event(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}

const DONE = "event: done\ndata: [DONE]\n\n"
const ANSWER = { role: "assistant", run_id: "run_1", created_at: 6 }

function stream(...events: string[]): Answer {
  return (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).end(events.join(""))
  }
}

async function isShown(expected: string[]): Promise<void> {
  const outline = () =>
    conversation(session.snapshot().transcript).map((entry) =>
      entry.kind === "message"
        ? entry.message.id
        : `${entry.run.status}: ${entry.parts.map((part) => (part.kind === "message" ? part.message.id : part.call.id))}`,
    )
  await vi.waitFor(() => expect(outline()).toEqual(expected), 5_000)
}

async function isIdle(): Promise<void> {
  await vi.waitFor(() => expect(session.snapshot()).toMatchObject({ isLoaded: true, isBusy: false }), 5_000)
}

it("stores a message, and shows the answer as it streams", async () => {
  answers.set("POST /messages", json(said("msg_1", "Hi")))
  const answer = said("msg_2", "Hello", ANSWER)
  answers.set(
    "POST /runs",
    stream(
      event("thread.run.created", run("queued")),
      event("thread.message.completed", answer),
      event("thread.run.completed", run("completed")),
      DONE,
    ),
  )
  session.open()
  await isIdle()
  expect(await session.send({ text: "Hi", images: [], attachments: [] }, "asst_1")).toBe(true)
  await isShown(["msg_1", "completed: msg_2"])
})

it("follows a run whose stream breaks off", async () => {
  answers.set("POST /runs", (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.write(event("thread.run.created", run("in_progress")), () => response.destroy())
  })
  answers.set(
    "GET /runs/run_1/stream",
    stream(
      event("thread.run.created", run("queued")),
      event("thread.message.completed", said("msg_2", "Hello", ANSWER)),
      event("thread.run.completed", run("completed")),
      DONE,
    ),
  )
  session.open()
  await isIdle()
  await session.run("asst_1")
  await isShown(["completed: msg_2"])
  expect(session.snapshot().fault).toBeNull()
})

it("knows that a run was stopped, though the answer to its cancelling comes after its end", async () => {
  let streaming: ServerResponse | undefined
  let answered = () => {}
  const late = new Promise<void>((resolve) => {
    answered = resolve
  })
  answers.set("POST /runs", (_, response) => {
    streaming = response.writeHead(200, { "content-type": "text/event-stream" })
    response.write(event("thread.run.created", run("in_progress")))
  })
  answers.set("POST /runs/run_1/cancel", async (request, response) => {
    streaming?.end(event("thread.run.cancelled", run("cancelled")) + DONE)
    await isShown(["cancelled: "])
    response.on("finish", answered)
    json(run("cancelling"))(request, response)
  })
  session.open()
  await isIdle()
  const running = session.run("asst_1")
  await isShown(["in_progress: "])
  session.stop()
  await running
  await late
  // It has been read by the time that a later request is answered.
  await session.showEarlier()
  await isShown(["cancelled: "])
})

it("discards what follows a message that is said anew, the newest first", async () => {
  answers.set("GET /messages", list(said("msg_2", "Hello", ANSWER), said("msg_1", "Hi")))
  answers.set("GET /runs", list(run("completed")))
  answers.set("GET /runs/run_1/steps", list())
  answers.set("DELETE /messages/msg_1", json({ id: "msg_1", deleted: true }))
  answers.set("DELETE /messages/msg_2", json({ id: "msg_2", deleted: true }))
  answers.set("POST /runs/run_1", json({ ...run("completed"), metadata: { superseded: "true" } }))
  answers.set("POST /messages", json(said("msg_3", "Hey")))
  session.open()
  await isShown(["msg_1", "completed: msg_2"])
  await isIdle()
  asked = []
  const [first] = session.snapshot().transcript.messages
  if (first) await session.resend(first, { text: "Hey", images: [], attachments: [] }, "asst_1")
  expect(asked.slice(0, 4)).toEqual([
    "DELETE /messages/msg_2",
    "DELETE /messages/msg_1",
    "POST /runs/run_1",
    "POST /messages",
  ])
  await isShown(["msg_3"])
})

it("says what went wrong, and goes on from there when asked to", async () => {
  answers.set("POST /runs", json({ error: { message: "No such model." } }, 400))
  session.open()
  await isIdle()
  await session.run("asst_1")
  expect(session.snapshot().fault?.error).toMatchObject({ status: 400 })
  answers.set("POST /runs", stream(event("thread.run.completed", run("completed")), DONE))
  session.snapshot().fault?.again?.()
  await isShown(["completed: "])
  expect(session.snapshot().fault).toBeNull()
})

it("lets the first assistant answer a thread that has only been written to, and no other", async () => {
  answers.set("GET /messages", list(said("msg_1", "Hi")))
  answers.set("POST /runs", stream(event("thread.run.completed", run("completed")), DONE))
  session.open("asst_1")
  await isShown(["msg_1", "completed: "])
  answers.set("GET /runs", list(run("completed")))
  answers.set("GET /runs/run_1/steps", list())
  asked = []
  session.open("asst_1")
  await isIdle()
  expect(asked).not.toContain("POST /runs")
})
