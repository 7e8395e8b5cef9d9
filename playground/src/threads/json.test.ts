import { expect, it } from "vitest"
import { briefly, jsonFault, jsonOf } from "./json"

it("sets JSON so that it is easy to read, and leaves other texts as they are", () => {
  expect(jsonOf('{"a":1}')).toEqual({ code: '{\n  "a": 1\n}', language: "json" })
  expect(jsonOf("3 degrees")).toEqual({ code: "3 degrees", language: null })
})

it.each([
  ['{"city":"Oslo","days":[1,2]}', "city: Oslo, days: [1,2]"],
  ['{"city":"Os', '{"city":"Os'],
  ["[1]", "[1]"],
])("says %s in brief", (text, brief) => {
  expect(briefly(text)).toBe(brief)
})

it("finds fault with broken JSON, but not with plain words", () => {
  expect(jsonFault('{"a":')).toMatch(/JSON/)
  expect(jsonFault('{"a":1}')).toBeNull()
  expect(jsonFault("cold")).toBeNull()
})
