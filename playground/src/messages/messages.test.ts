import { expect, it } from "vitest"
import english from "./en"
import korean from "./ko"

/** All keys of a file, without the endings that say how many: Korean has no plural. */
function keysOf(texts: object, path = ""): string[] {
  return Object.entries(texts).flatMap(([key, value]) =>
    typeof value === "object"
      ? keysOf(value, `${path}${key}.`)
      : `${path}${key.replace(/_(one|other)$/, "")}`,
  )
}

/** The names in {{…}} of each text. */
function gapsOf(texts: object, path = ""): Record<string, string> {
  return Object.assign(
    {},
    ...Object.entries(texts).map(([key, value]) =>
      typeof value === "object"
        ? gapsOf(value, `${path}${key}.`)
        : { [path + key.replace(/_(one|other)$/, "")]: [...new Set(value.match(/{{\w+}}/g))].sort().join() },
    ),
  )
}

it("says everything in both languages", () => {
  expect([...new Set(keysOf(korean))].sort()).toEqual([...new Set(keysOf(english))].sort())
})

it("has the same gaps to fill in both languages", () => {
  expect(gapsOf(korean)).toEqual(gapsOf(english))
})
