import { describe, expect, it } from "vitest"
import { likelyUse, partsOf, usesOf } from "./attachments"

const both = new Set(["file_search", "code_interpreter"])
const picture = new File([], "cat.png", { type: "image/png" })
const drawing = new File([], "plan.svg", { type: "image/svg+xml" })

describe("an attached file", () => {
  it.each([
    ["handbook.pdf", both, "file_search"],
    ["보고서.DOCX", both, "file_search"],
    ["sales.xlsx", both, "code_interpreter"],
    ["data.bin", both, "code_interpreter"],
    ["sales.csv", new Set(["file_search"]), "file_search"],
    ["handbook.pdf", new Set(["code_interpreter"]), "code_interpreter"],
    ["handbook.pdf", new Set<string>(), "file_search"],
  ])("%s goes, with the tools %s, to %s", (name, tools, use) => {
    expect(likelyUse(new File([], name), tools)).toBe(use)
  })

  it("is shown to the model if it is a picture that models can see", () => {
    expect(likelyUse(picture, both)).toBe("image")
    expect(usesOf(picture)).toEqual(["image", "code_interpreter"])
  })

  it("is not searched for words if it is a drawing", () => {
    expect(likelyUse(drawing, new Set(["file_search"]))).toBe("code_interpreter")
  })

  it("stands in a message as a picture or as an attachment for its tool", () => {
    const files = [
      { fileId: "file-1", use: "image" },
      { fileId: "file-2", use: "file_search" },
    ] as const
    expect(partsOf(files)).toEqual({
      images: ["file-1"],
      attachments: [{ file_id: "file-2", tools: [{ type: "file_search" }] }],
    })
  })
})
