import { describe, expect, it } from "vitest"
import { conversation, SUPERSEDED, titleOf } from "./entries"
import type { Message, Run, RunStep, StreamEvent } from "./objects"
import { EMPTY, heard, liveRun, preceded, type Transcript, without } from "./transcript"

let clock = 1_700_000_000

function run(id: string, fields: Partial<Run> = {}): Run {
  clock += 1
  return { id, object: "thread.run", status: "completed", created_at: clock, metadata: {}, ...fields } as Run
}

function message(id: string, text: string, fields: Partial<Message> = {}): Message {
  clock += 1
  const content = text === "" ? [] : [{ type: "text", text: { value: text, annotations: [] } }]
  const base = { id, object: "thread.message", role: "user", run_id: null, created_at: clock, content }
  return { ...base, ...fields } as Message
}

function step(id: string, run_id: string, details: RunStep["step_details"]): RunStep {
  return { id, object: "thread.run.step", run_id, status: "in_progress", step_details: details } as RunStep
}

function event(name: StreamEvent["event"], data: unknown): StreamEvent {
  return { event: name, data } as StreamEvent
}

function heardAll(...events: StreamEvent[]): Transcript {
  return events.reduce(heard, EMPTY)
}

function textDelta(id: string, value: string, annotations: unknown[] = []): StreamEvent {
  const content = [{ index: 0, type: "text", text: { value, annotations } }]
  return event("thread.message.delta", { id, object: "thread.message.delta", delta: { content } })
}

function callDelta(id: string, call: object): StreamEvent {
  const step_details = { type: "tool_calls", tool_calls: [{ index: 0, ...call }] }
  return event("thread.run.step.delta", { id, object: "thread.run.step.delta", delta: { step_details } })
}

/** A transcript as lines of text, to compare at a glance. */
function outline(transcript: Transcript): string[] {
  return conversation(transcript).map((entry) =>
    entry.kind === "message"
      ? entry.message.id
      : `${entry.run.id}(${entry.parts.map((part) => (part.kind === "call" ? part.call.type : part.message.id)).join()})`,
  )
}

describe("what is heard", () => {
  it("adds up the words of a message and its citations", () => {
    const created = event(
      "thread.message.created",
      message("msg_1", "", { role: "assistant", run_id: "run_1" }),
    )
    const citation = { index: 0, type: "file_citation", text: "【4:0†a】", start_index: 3, end_index: 10 }
    const said = heardAll(created, textDelta("msg_1", "Hi "), textDelta("msg_1", "【4:0†a】", [citation]))
    expect(said.messages[0]?.content).toEqual([
      {
        type: "text",
        text: {
          value: "Hi 【4:0†a】",
          annotations: [{ type: "file_citation", text: "【4:0†a】", start_index: 3, end_index: 10 }],
        },
      },
    ])
  })

  it("begins a message anew when a stream that is taken up announces it again", () => {
    const created = event(
      "thread.message.created",
      message("msg_1", "", { role: "assistant", run_id: "run_1" }),
    )
    const said = heardAll(
      created,
      textDelta("msg_1", "Hello"),
      created,
      textDelta("msg_1", "Hello"),
      textDelta("msg_1", "!"),
    )
    expect(said.messages).toHaveLength(1)
    expect(said.messages[0]?.content[0]).toMatchObject({ text: { value: "Hello!" } })
  })

  it("forgets what a crash undid when a run is told from its beginning", () => {
    const created = event("thread.run.created", run("run_1", { status: "queued" }))
    const half = event("thread.message.created", message("msg_1", "Half", { run_id: "run_1" }))
    const whole = event("thread.message.created", message("msg_2", "Whole", { run_id: "run_1" }))
    const others = event("thread.message.completed", message("msg_0", "Hi"))
    const said = heardAll(others, created, half, created, whole)
    expect(said.messages.map(({ id }) => id)).toEqual(["msg_0", "msg_2"])
    expect(said.runs).toHaveLength(1)
  })

  it("puts pictures beside words", () => {
    const created = event("thread.message.created", message("msg_1", ""))
    const content = [{ index: 0, type: "image_file", image_file: { file_id: "file-1" } }]
    const delta = event("thread.message.delta", { id: "msg_1", delta: { content } })
    const words = event("thread.message.delta", {
      id: "msg_1",
      delta: { content: [{ index: 1, type: "text", text: { value: "A plot" } }] },
    })
    expect(heardAll(created, delta, words).messages[0]?.content).toMatchObject([
      { type: "image_file", image_file: { file_id: "file-1" } },
      { type: "text", text: { value: "A plot" } },
    ])
  })

  it("adds up a program, and then each of its outputs", () => {
    const created = event(
      "thread.run.step.created",
      step("step_1", "run_1", { type: "tool_calls", tool_calls: [] }),
    )
    const program = (code_interpreter: object) =>
      callDelta("step_1", { type: "code_interpreter", code_interpreter })
    const said = heardAll(
      created,
      callDelta("step_1", {
        id: "call_1",
        type: "code_interpreter",
        code_interpreter: { input: "", outputs: [] },
      }),
      program({ input: "print" }),
      program({ input: "(4)" }),
      program({ outputs: [{ index: 0, type: "logs", logs: "4" }] }),
      program({ outputs: [{ index: 0, type: "logs", logs: "\n" }] }),
      program({ outputs: [{ index: 1, type: "image", image: { file_id: "file-1" } }] }),
    )
    expect(said.steps[0]?.step_details).toEqual({
      type: "tool_calls",
      tool_calls: [
        {
          id: "call_1",
          type: "code_interpreter",
          code_interpreter: {
            input: "print(4)",
            outputs: [
              { type: "logs", logs: "4\n" },
              { type: "image", image: { file_id: "file-1" } },
            ],
          },
        },
      ],
    })
  })

  it("adds up a function's arguments, and keeps the name and id of the first delta", () => {
    const created = event(
      "thread.run.step.created",
      step("step_1", "run_1", { type: "tool_calls", tool_calls: [] }),
    )
    const said = heardAll(
      created,
      callDelta("step_1", {
        id: "call_1",
        type: "function",
        function: { name: "f", arguments: "", output: null },
      }),
      callDelta("step_1", { type: "function", function: { arguments: '{"a"' } }),
      callDelta("step_1", { type: "function", function: { arguments: ":1}" } }),
    )
    expect(said.steps[0]?.step_details).toMatchObject({
      tool_calls: [{ id: "call_1", function: { name: "f", arguments: '{"a":1}', output: null } }],
    })
  })

  it("knows the run that the thread is busy with", () => {
    const waiting = run("run_1", { status: "requires_action" })
    expect(liveRun(heardAll(event("thread.run.requires_action", waiting)))?.id).toBe("run_1")
    expect(
      liveRun(heardAll(event("thread.run.completed", { ...waiting, status: "completed" }))),
    ).toBeUndefined()
  })
})

describe("a conversation", () => {
  const question = message("msg_1", "3x + 11 = 14. What is x?")
  const first = run("run_1")
  const answer = message("msg_2", "x = 1", { role: "assistant", run_id: "run_1" })
  const thanks = message("msg_3", "Thanks")
  const program = step("step_1", "run_1", {
    type: "tool_calls",
    tool_calls: [{ id: "call_1", type: "code_interpreter", code_interpreter: { input: "1", outputs: [] } }],
  })
  const writing = step("step_2", "run_1", {
    type: "message_creation",
    message_creation: { message_id: "msg_2" },
  })
  const whole: Transcript = { messages: [question, answer, thanks], runs: [first], steps: [program, writing] }

  it("shows what a run did where its first message stands", () => {
    expect(outline(whole)).toEqual(["msg_1", "run_1(code_interpreter,msg_2)", "msg_3"])
  })

  it("shows a run's message also where its steps are not known", () => {
    expect(outline({ ...whole, steps: [] })).toEqual(["msg_1", "run_1(msg_2)", "msg_3"])
  })

  it("shows a message by itself where its run is not known", () => {
    expect(outline({ ...whole, runs: [], steps: [] })).toEqual(["msg_1", "msg_2", "msg_3"])
  })

  it("shows a run that said nothing after what was said when it began", () => {
    const failed = run("run_2", { status: "failed", created_at: first.created_at })
    expect(outline({ messages: [question, thanks], runs: [failed], steps: [] })).toEqual([
      "msg_1",
      "run_2()",
      "msg_3",
    ])
  })

  it("leaves out a run whose answer was discarded", () => {
    const discarded = { ...first, metadata: { [SUPERSEDED]: "true" } }
    expect(outline({ ...whole, messages: [question], runs: [discarded] })).toEqual(["msg_1"])
  })

  it("loses a message that was deleted", () => {
    expect(outline(without(whole, "msg_3"))).toEqual(["msg_1", "run_1(code_interpreter,msg_2)"])
  })

  it("has what was fetched later, but said earlier, at its beginning, and nothing twice", () => {
    const later = { ...EMPTY, messages: [answer, thanks] }
    const earlier = { ...EMPTY, messages: [question, { ...answer, content: [] }] }
    const both = preceded(later, earlier)
    expect(both.messages.map(({ id }) => id)).toEqual(["msg_1", "msg_2", "msg_3"])
    expect(both.messages[1]).toBe(answer)
  })
})

describe("a title", () => {
  it("is a short text as it is, on one line", () => {
    expect(titleOf("  한국의 수도는?\n어디인가요 ")).toBe("한국의 수도는? 어디인가요")
  })

  it("ends between words", () => {
    expect(titleOf("word ".repeat(30))).toBe(`${"word ".repeat(12).trim()}…`)
  })

  it("does not cut a character in two", () => {
    expect(titleOf("👩‍🚀".repeat(80))).toBe(`${"👩‍🚀".repeat(60)}…`)
  })
})
