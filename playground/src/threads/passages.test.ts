import { describe, expect, it } from "vitest"
import type { RunStep } from "./objects"
import { type FileCitation, numbersOf, sourceOf } from "./passages"

function search(...results: [file: string, text: string][]): RunStep {
  const found = results.map(([file, text]) => ({
    file_id: `file-${file}`,
    file_name: `${file}.md`,
    score: 0.5,
    content: [{ type: "text", text }],
  }))
  return called({ id: "call_1", type: "file_search", file_search: { results: found } })
}

function called(call: object): RunStep {
  return { step_details: { type: "tool_calls", tool_calls: [call] } } as RunStep
}

function citation(text: string, file: string, start_index = 0): FileCitation {
  return {
    type: "file_citation",
    text,
    start_index,
    end_index: 0,
    file_citation: { file_id: `file-${file}` },
  }
}

const writing = {
  step_details: { type: "message_creation", message_creation: { message_id: "m" } },
} as RunStep

describe("the source of a citation", () => {
  const first = search(["a", "alpha"], ["b", "beta"])
  const second = search(["b", "gamma"])

  it("is the result that its marker counts", () => {
    expect(sourceOf(citation("【4:1†b.md】", "b"), [first, writing, second]).text).toBe("beta")
    expect(sourceOf(citation("【6:0†b.md】", "b"), [first, writing, second]).text).toBe("gamma")
  })

  it("counts turns that called other tools", () => {
    const program = called({
      id: "call_2",
      type: "code_interpreter",
      code_interpreter: { input: "", outputs: [] },
    })
    expect(sourceOf(citation("【6:0†b.md】", "b"), [program, second]).text).toBe("gamma")
  })

  it("is some passage of the file where the marker counts otherwise", () => {
    expect(sourceOf(citation("【13:7†source】", "a"), [first])).toEqual({
      fileId: "file-a",
      fileName: "a.md",
      text: "alpha",
    })
  })

  it("is the file alone where nothing else is known", () => {
    expect(sourceOf(citation("【4:0†a.md】", "a"), [])).toEqual({
      fileId: "file-a",
      fileName: "a.md",
      text: null,
    })
    expect(sourceOf(citation("[a]", "a"), []).fileName).toBeNull()
  })
})

it("numbers passages as they are first cited", () => {
  const cited = [
    citation("【4:1†b】", "b", 50),
    citation("【4:0†a】", "a", 10),
    citation("【4:1†b】", "b", 5),
  ]
  expect([...numbersOf(cited)]).toEqual([
    ["【4:1†b】", 1],
    ["【4:0†a】", 2],
  ])
})
