import type { Message, Run, RunStep, ToolCall } from "./objects"
import type { Transcript } from "./transcript"

/** What a run did, in its order: what it said, and the tools that it called. */
export type Part =
  | { readonly kind: "message"; readonly message: Message }
  | { readonly kind: "call"; readonly step: RunStep; readonly call: ToolCall }

/** A piece of the conversation: a message that stands for itself, or all that one run did. */
export type Entry =
  | { readonly kind: "message"; readonly message: Message }
  | { readonly kind: "answer"; readonly run: Run; readonly parts: readonly Part[] }

/** In a run's metadata: its answer was discarded, since what it answered was edited or asked again. */
export const SUPERSEDED = "superseded"

/** A transcript as people read it. */
export function conversation(transcript: Transcript): Entry[] {
  const { messages } = transcript
  const runs = transcript.runs.filter((run) => run.metadata?.[SUPERSEDED] !== "true")
  const shown = new Set(runs.map(({ id }) => id))
  const answers = runs.map((run) => ({ run, place: placeOf(run, messages) }))
  const entries: Entry[] = []
  messages.forEach((message, place) => {
    entries.push(...answersAt(place))
    if (message.run_id === null || !shown.has(message.run_id)) {
      entries.push({ kind: "message", message })
    }
  })
  entries.push(...answersAt(messages.length))
  return entries

  function answersAt(place: number): Entry[] {
    return answers
      .filter((answer) => answer.place === place)
      .map(({ run }) => ({ kind: "answer", run, parts: partsOf(run, transcript) }))
  }
}

/** Where a run's answer stands: at its first message, or, if it has none, after what was said when it began. */
function placeOf(run: Run, messages: readonly Message[]): number {
  const first = messages.findIndex(({ run_id }) => run_id === run.id)
  const next = messages.findIndex(({ created_at }) => created_at > run.created_at)
  return [first, next, messages.length].find((place) => place >= 0) ?? 0
}

function partsOf(run: Run, { messages, steps }: Transcript): Part[] {
  const written = new Map(
    messages.filter(({ run_id }) => run_id === run.id).map((message) => [message.id, message]),
  )
  const parts: Part[] = []
  for (const step of steps.filter(({ run_id }) => run_id === run.id)) {
    if (step.step_details.type === "tool_calls") {
      parts.push(...step.step_details.tool_calls.map((call): Part => ({ kind: "call", step, call })))
      continue
    }
    const { message_id } = step.step_details.message_creation
    const message = written.get(message_id)
    if (message) {
      parts.push({ kind: "message", message })
      written.delete(message_id)
    }
  }
  // Of runs whose steps were not fetched.
  parts.push(...[...written.values()].map((message): Part => ({ kind: "message", message })))
  return parts
}

/** All that was said in a message, as one text. */
export function textOf({ content }: Message): string {
  const texts = content.map((part) => {
    switch (part.type) {
      case "text":
        return part.text.value
      case "refusal":
        return part.refusal
      case "image_file":
      case "image_url":
        return ""
    }
  })
  return texts.filter(Boolean).join("\n\n")
}

const TITLE_LENGTH = 60

/** The first words of a text, as a name for its thread. */
export function titleOf(text: string): string {
  const line = text.replace(/\s+/g, " ").trim()
  const characters = [...new Intl.Segmenter().segment(line)]
  if (characters.length <= TITLE_LENGTH) {
    return line
  }
  const start = line.slice(0, characters[TITLE_LENGTH]?.index)
  // Cut between words, unless that would leave next to nothing, as in scripts that write none.
  const space = start.lastIndexOf(" ")
  return `${space > TITLE_LENGTH / 2 ? start.slice(0, space) : start}…`
}
