// Models write maths and citations in ways that markdown does not know. Here they become what our parser reads.

// Code stays as it is; so it is matched first, also where its end has not been streamed yet.
const CODE =
  /(?<code>^ {0,3}(?<fence>`{3,}|~{3,})[\s\S]*?(?:^ {0,3}\k<fence>|$(?![\s\S]))|(?<ticks>`+)[^`][\s\S]*?\k<ticks>(?!`))/
const BRACKETS =
  /^(?<indent>[ \t]*)\\\[(?<bracketed>[\s\S]+?)\\\][ \t]*$|\\\[(?<inlineBracketed>[\s\S]+?)\\\]/
const PARENTHESES = /\\\((?<parenthesised>[\s\S]+?)\\\)/
const OWN_LINE = /^(?<lineIndent>[ \t]*)\$\$(?<line>[^$\n]+)\$\$[ \t]*$/
const DOUBLE = /(?<double>\$\$[\s\S]*?\$\$)/
// As pandoc has it, so that "$5 and $10" stays money: no space inside the dollars, no digit after them.
const SINGLE = /(?<![\\$])\$(?<single>(?![\s$])(?:[^$\n]*[^\s$\\])?)\$(?![\d$])/

const NOTATION = new RegExp(
  [CODE, BRACKETS, PARENTHESES, OWN_LINE, DOUBLE, SINGLE].map(({ source }) => source).join("|"),
  "gm",
)

/** A text whose maths is all in double dollars: on lines of their own where it is to stand by itself. */
export function mathsInDollars(text: string): string {
  return text.replace(NOTATION, (whole, ...rest) => {
    const found = rest.at(-1) as Record<string, string | undefined>
    if (found.bracketed) return block(found.indent ?? "", found.bracketed)
    if (found.line) return block(found.lineIndent ?? "", found.line)
    const inline = found.inlineBracketed ?? found.parenthesised ?? found.single
    return inline ? `$$${inline.trim()}$$` : whole
  })
}

function block(indent: string, maths: string): string {
  const lines = maths.trim().split("\n")
  return ["$$", ...lines, "$$"].map((line) => indent + line.trim()).join("\n")
}

/** Whether there is anything for KaTeX to do, after `mathsInDollars`. */
export function hasMaths(text: string): boolean {
  return text.includes("$$")
}

// Characters of the private use area: markdown leaves them alone, and no font or model has a use for them.
const OPEN = "\uE000"
const CLOSE = "\uE001"
const MARK = new RegExp(`${OPEN}(\\d+)${CLOSE}`)

interface Cited {
  readonly text: string
  readonly start_index: number
}

/** A text in which each annotation's marker is replaced by its number, in a form that no markup can break. */
export function numberedMarks(text: string, annotations: readonly Cited[]): string {
  const plain = text.replaceAll(OPEN, "").replaceAll(CLOSE, "")
  const inOrder = annotations
    .map((annotation, index) => ({ ...annotation, index }))
    .toSorted((one, other) => one.start_index - other.start_index)
  let marked = ""
  let end = 0
  for (const { text: marker, index } of inOrder) {
    // Places are counted in characters by some servers and in UTF-16 by others; the marker itself is found by either.
    const start = marker ? plain.indexOf(marker, end) : -1
    if (start < 0) continue
    marked += `${plain.slice(end, start)}${OPEN}${index}${CLOSE}`
    end = start + marker.length
  }
  return marked + plain.slice(end)
}

/** The pieces of a text with such numbers: texts, and numbers of annotations. */
export function splitMarks(text: string): (string | number)[] {
  return text
    .split(MARK)
    .map((piece, place) => (place % 2 === 0 ? piece : Number(piece)))
    .filter((piece) => piece !== "")
}

/** The text as it was, where a mark cannot be shown as one. */
export function plainMarks(text: string, annotations: readonly Cited[]): string {
  return splitMarks(text)
    .map((piece) => (typeof piece === "number" ? (annotations[piece]?.text ?? "") : piece))
    .join("")
}
