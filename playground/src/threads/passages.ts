import type { Annotation, RunStep, SearchCall } from "./objects"

export type FileCitation = Extract<Annotation, { type: "file_citation" }>
export type Result = NonNullable<SearchCall["file_search"]["results"]>[number]

/** A citation, with what is known of the passage that it stands for. */
export interface Source {
  readonly fileId: string
  readonly fileName: string | null
  readonly text: string | null
}

const MARKER = /【(\d+):(\d+)†([^】]*)】/
// The marker's first number counts the messages that the model read: instructions, tools, question and call come before
// the first results; each further turn is a call and its results.
const FIRST_TURN = 4
const MESSAGES_A_TURN = 2

/** The passage that a citation of a run stands for. */
export function sourceOf({ text, file_citation }: FileCitation, steps: readonly RunStep[]): Source {
  const [, turn, place, name] = MARKER.exec(text) ?? []
  const turns = steps.map(resultsOf).filter((results) => results !== null)
  const results = turns[(Number(turn) - FIRST_TURN) / MESSAGES_A_TURN]
  const meant = results?.[Number(place)]
  // Servers that count otherwise still name the file.
  const ofFile = (result: Result | undefined) => result?.file_id === file_citation.file_id
  const result = ofFile(meant) ? meant : turns.flat().find(ofFile)
  return {
    fileId: file_citation.file_id,
    fileName: result?.file_name ?? (name === "source" || !name ? null : name),
    text: result ? textOfResult(result) : null,
  }
}

export function textOfResult({ content }: Result): string | null {
  return content?.map(({ text }) => text ?? "").join("\n") || null
}

/** What the searches of a step have found; null for steps that call no tools. */
function resultsOf({ step_details }: RunStep): Result[] | null {
  if (step_details.type !== "tool_calls") return null
  return step_details.tool_calls.flatMap((call) =>
    call.type === "file_search" ? (call.file_search.results ?? []) : [],
  )
}

/** The numbers that readers see: the same passage has the same number wherever it is cited. */
export function numbersOf(citations: readonly FileCitation[]): Map<string, number> {
  const numbers = new Map<string, number>()
  for (const { text } of citations.toSorted((one, other) => one.start_index - other.start_index)) {
    if (!numbers.has(text)) numbers.set(text, numbers.size + 1)
  }
  return numbers
}
