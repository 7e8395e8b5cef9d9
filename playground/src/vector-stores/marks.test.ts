import { describe, expect, it } from "vitest"
import { mark } from "./marks"

/** The marked stretches in brackets. */
const shown = (text: string, words: string[]) =>
  mark(text, words)
    .map(({ text, isMarked }) => (isMarked ? `[${text}]` : text))
    .join("")

describe("words that a search matched", () => {
  it("are marked wherever they stand, in any case", () => {
    expect(shown("Refunds: a refund takes 5 days.", ["refund"])).toBe("[Refund]s: a [refund] takes 5 days.")
  })

  it("are not found in the middle of others", () => {
    expect(shown("find it in here", ["in"])).toBe("find it [in] here")
  })

  it("grow together where pairs of syllables overlap", () => {
    expect(shown("환불 규정은 다음과 같습니다", ["환불", "규정"])).toBe("[환불] [규정]은 다음과 같습니다")
    expect(shown("개인정보를 보호합니다", ["개인", "인정", "정보"])).toBe("[개인정보]를 보호합니다")
  })

  it("are marked as far as they stand there, where they end otherwise", () => {
    expect(shown("A refund is paid.", ["refunds"])).toBe("A [refund] is paid.")
    expect(shown("환불 규정", ["환불은"])).toBe("[환불] 규정")
    expect(shown("A ref is here.", ["refunds"])).toBe("A ref is here.")
  })

  it("leave the text whole where there are none", () => {
    expect(shown("Nothing here.", [])).toBe("Nothing here.")
    expect(shown("", ["a"])).toBe("")
  })
})
