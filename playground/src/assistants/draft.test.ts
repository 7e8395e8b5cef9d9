import { describe, expect, it } from "vitest"
import { type Assistant, changesBetween, type Draft, draftOf, paramsOf, problemsOf } from "./draft"

const PLAIN: Assistant = {
  id: "asst_1",
  object: "assistant",
  created_at: 1,
  name: null,
  description: null,
  model: "qwen3",
  instructions: null,
  tools: [],
  tool_resources: {},
  temperature: 1,
  top_p: 1,
  metadata: {},
  response_format: "auto",
}

const draft = (changes: Partial<Draft> = {}): Draft => ({ ...draftOf(PLAIN), ...changes })

describe("an assistant as a draft", () => {
  it("comes back as it was", () => {
    const assistant = {
      ...PLAIN,
      name: "Analyst",
      tools: [
        { type: "code_interpreter" },
        {
          type: "file_search",
          file_search: {
            max_num_results: 7,
            ranking_options: {
              score_threshold: 0.25,
              hybrid_search: { text_weight: 0.75, embedding_weight: 0.25 },
            },
          },
        },
        { type: "function", function: { name: "ping", parameters: { type: "object" } } },
      ],
      tool_resources: {
        code_interpreter: { file_ids: ["file-1"] },
        file_search: { vector_store_ids: ["vs_1"] },
      },
      response_format: { type: "json_schema", json_schema: { name: "answer", schema: { type: "object" } } },
      metadata: { team: "data" },
    } as Assistant
    expect(paramsOf(draftOf(assistant))).toMatchObject({
      name: "Analyst",
      tools: assistant.tools,
      tool_resources: assistant.tool_resources,
      response_format: assistant.response_format,
      metadata: { team: "data" },
    })
  })

  it("keeps the files of a tool that is switched off", () => {
    const off = draft({ codeFileIds: ["file-1"], vectorStoreId: "vs_1" })
    expect(paramsOf(off)).toMatchObject({
      tools: [],
      tool_resources: {
        code_interpreter: { file_ids: ["file-1"] },
        file_search: { vector_store_ids: ["vs_1"] },
      },
    })
  })

  it("sends only what changed", () => {
    expect(changesBetween(draft(), draft({ name: "Analyst" }))).toEqual({ name: "Analyst" })
    expect(changesBetween(draft({ name: "Analyst" }), draft())).toEqual({ name: null })
    expect(changesBetween(draft(), draft())).toEqual({})
  })
})

describe("what stands in the way of saving", () => {
  it("is nothing for a plain assistant", () => {
    expect(problemsOf(draft())).toEqual([])
  })

  it("counts characters as the API does", () => {
    expect(problemsOf(draft({ name: "😀".repeat(256) }))).toEqual([])
    expect(problemsOf(draft({ name: "😀".repeat(257) }))).toEqual([
      { field: "name", kind: "tooLong", limit: 256, length: 257 },
    ])
  })

  it("looks at the schema of answers only where it is used", () => {
    expect(problemsOf(draft({ answerSchema: "{" }))).toEqual([])
    expect(problemsOf(draft({ answerForm: "json_schema", answerSchema: "{" }))).toMatchObject([
      { kind: "badJson" },
    ])
    expect(problemsOf(draft({ answerForm: "json_schema", answerSchema: "{}" }))).toMatchObject([
      { kind: "schemaUnnamed" },
    ])
  })

  it.each([
    [[["", "x"]], "noKey"],
    [
      [
        ["a", "1"],
        ["a", "2"],
      ],
      "sameKey",
    ],
    [[["k".repeat(65), ""]], "longKey"],
    [[["k", "v".repeat(513)]], "longValue"],
    [Array.from({ length: 17 }, (_, n) => [`k${n}`, ""]), "tooManyPairs"],
  ] as [Draft["metadata"], string][])("refuses metadata %#", (metadata, kind) => {
    expect(problemsOf(draft({ metadata })).map((problem) => problem.kind)).toEqual([kind])
  })

  it("passes over a pair of metadata in which nothing is written", () => {
    const begun = draft({
      metadata: [
        ["team", "data"],
        ["", ""],
      ],
    })
    expect(problemsOf(begun)).toEqual([])
    expect(paramsOf(begun).metadata).toEqual({ team: "data" })
  })

  it("refuses two functions of one name", () => {
    const functions = [{ name: "ping" }, { name: "ping" }]
    expect(problemsOf(draft({ functions }))).toEqual([
      { field: "functions", kind: "sameFunction", name: "ping" },
    ])
  })
})
