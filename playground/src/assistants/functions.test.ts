import { describe, expect, it } from "vitest"
import { EXAMPLES } from "./examples"
import { readFunction } from "./functions"

const problem = (value: unknown) => readFunction(JSON.stringify(value)).problem

describe("a function that someone wrote", () => {
  it.each(EXAMPLES)("takes the example $name", (example) => {
    expect(readFunction(JSON.stringify(example))).toEqual({ definition: example, problem: null })
  })

  it("takes the tool that wraps a function, as programs have it", () => {
    const { definition } = readFunction('{"type": "function", "function": {"name": "ping"}}')
    expect(definition).toEqual({ name: "ping" })
  })

  it.each([
    ["{", "badJson"],
    ["[]", "notAnObject"],
    ["{}", "noName"],
    ['{"name": "get weather"}', "badName"],
    ['{"name": "날씨"}', "badName"],
    [`{"name": "a", "description": "${"x".repeat(1025)}"}`, "longDescription"],
    ['{"name": "a", "parameters": {"type": "array"}}', "parametersNotObject"],
  ])("refuses %s", (text, kind) => {
    expect(readFunction(text).problem?.kind).toBe(kind)
  })

  it("names the place where a schema is wrong", () => {
    const parameters = { type: "object", properties: { city: { type: "strng" } } }
    expect(problem({ name: "a", parameters })).toMatchObject({
      kind: "badSchema",
      path: "parameters.properties.city.type",
    })
  })

  it("finds a required property that is not there", () => {
    const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["town"] }
    expect(problem({ name: "a", parameters })).toEqual({
      kind: "unknownRequired",
      path: "parameters",
      name: "town",
    })
  })

  it("asks of a strict function that each object is closed and whole, at any depth", () => {
    const inner = { type: "object", properties: { x: { type: "number" } }, required: ["x"] }
    const list = { type: "array", items: inner }
    const outer = { type: "object", properties: { list }, required: ["list"], additionalProperties: false }
    expect(problem({ name: "a", strict: true, parameters: outer })).toEqual({
      kind: "openObject",
      path: "parameters.list[]",
    })
    expect(problem({ name: "a", strict: true, parameters: { ...outer, required: [] } })).toEqual({
      kind: "notRequired",
      path: "parameters",
      name: "list",
    })
    expect(problem({ name: "a", parameters: outer })).toBeNull()
  })
})
