import { describe, expect, it } from "vitest"
import { mathsInDollars, numberedMarks, plainMarks, splitMarks } from "./notation"

describe("maths", () => {
  it.each([
    ["in parentheses", "so \\(x = 1\\).", "so $$x = 1$$."],
    ["in brackets on a line", "  \\[ x = 1 \\]", "  $$\n  x = 1\n  $$"],
    ["in brackets on lines", "\\[\nx\n= 1\n\\]", "$$\nx\n= 1\n$$"],
    ["in brackets within a line", "so \\[x\\] it is", "so $$x$$ it is"],
    ["in double dollars on a line", "$$ x = 1 $$", "$$\nx = 1\n$$"],
    ["in double dollars on lines", "$$\nx\n$$", "$$\nx\n$$"],
    ["in single dollars", "$3x + 11 = 14$, so", "$$3x + 11 = 14$$, so"],
    ["of one letter", "of $n$ letters", "of $$n$$ letters"],
  ])("%s", (_, text, expected) => {
    expect(mathsInDollars(text)).toBe(expected)
  })

  it.each([
    ["money", "It costs $5 and $10, or $5-$10 in all."],
    ["an escaped dollar", "\\$x\\$"],
    ["a program", "```sh\necho $HOME \\(x\\) $PATH\n```"],
    ["a program that is still being written", "```sh\necho $a$ \\(x\\)"],
    ["code in a line", "`\\(x\\)` and `$a$`"],
    ["a lone dollar", "100 $ only"],
  ])("is not seen in %s", (_, text) => {
    expect(mathsInDollars(text)).toBe(text)
  })

  it("is seen after a program", () => {
    expect(mathsInDollars("```\n$a$\n```\n\\(x\\)")).toBe("```\n$a$\n```\n$$x$$")
  })
})

describe("marks of citations", () => {
  const annotations = [
    { text: "【4:1†b_*.md】", start_index: 40 },
    { text: "【4:0†a.md】", start_index: 6 },
    { text: "【4:0†a.md】", start_index: 60 },
  ]
  const text = "First【4:0†a.md】. Then【4:1†b_*.md】, and【4:0†a.md】."

  it("become numbers, in the order of their places", () => {
    expect(splitMarks(numberedMarks(text, annotations))).toEqual(["First", 1, ". Then", 0, ", and", 2, "."])
  })

  it("can be made text again", () => {
    expect(plainMarks(numberedMarks(text, annotations), annotations)).toBe(text)
  })

  it("that are not in the text change nothing", () => {
    expect(numberedMarks("Nothing here", annotations)).toBe("Nothing here")
  })

  it("cannot be made up by a model", () => {
    expect(splitMarks(numberedMarks("\uE0000\uE001", []))).toEqual(["0"])
  })
})
