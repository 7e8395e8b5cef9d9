import { grown } from "./deltas"
import type { Message, Run, RunStep, StreamEvent } from "./objects"

/** What is known of a thread, each list in the order in which its objects came to be. */
export interface Transcript {
  readonly messages: readonly Message[]
  readonly runs: readonly Run[]
  readonly steps: readonly RunStep[]
}

export const EMPTY: Transcript = { messages: [], runs: [], steps: [] }

/**
 * The transcript after an event of a run's stream. A stream that is taken up again tells from the beginning of a step,
 * or of the run; objects that are announced anew therefore replace what was there, and their deltas add up again.
 */
export function heard(transcript: Transcript, event: StreamEvent): Transcript {
  switch (event.event) {
    case "thread.message.delta": {
      const { id, delta } = event.data
      return {
        ...transcript,
        messages: changed(transcript.messages, id, (message) => grown.message(message, delta)),
      }
    }
    case "thread.run.step.delta": {
      const { id, delta } = event.data
      return { ...transcript, steps: changed(transcript.steps, id, (step) => grown.step(step, delta)) }
    }
    case "thread.run.created":
      return stored(untold(transcript, event.data.id), event.data)
    case "thread.created":
    case "error":
      return transcript
    default:
      return stored(transcript, event.data)
  }
}

/**
 * The transcript without what a run did. A stream that begins with its beginning tells all of it, and not what a crash of
 * the server undid.
 */
function untold({ messages, runs, steps }: Transcript, run: string): Transcript {
  const isOthers = ({ run_id }: Message | RunStep) => run_id !== run
  return { messages: messages.filter(isOthers), runs, steps: steps.filter(isOthers) }
}

/** The transcript with this object as it is now. */
export function stored(transcript: Transcript, object: Message | Run | RunStep): Transcript {
  switch (object.object) {
    case "thread.message":
      return { ...transcript, messages: put(transcript.messages, object) }
    case "thread.run":
      return { ...transcript, runs: put(transcript.runs, object) }
    case "thread.run.step":
      return { ...transcript, steps: put(transcript.steps, object) }
  }
}

/** The transcript without this message. */
export function without(transcript: Transcript, message: string): Transcript {
  return { ...transcript, messages: transcript.messages.filter(({ id }) => id !== message) }
}

/** Earlier objects, which were fetched later, before those that are known. */
export function preceded(transcript: Transcript, earlier: Transcript): Transcript {
  return {
    messages: joined(earlier.messages, transcript.messages),
    runs: joined(earlier.runs, transcript.runs),
    steps: joined(earlier.steps, transcript.steps),
  }
}

interface Identified {
  readonly id: string
}

function joined<T extends Identified>(earlier: readonly T[], later: readonly T[]): readonly T[] {
  const known = new Set(later.map(({ id }) => id))
  return [...earlier.filter(({ id }) => !known.has(id)), ...later]
}

function put<T extends Identified>(objects: readonly T[], object: T): readonly T[] {
  const known = objects.some(({ id }) => id === object.id)
  return known ? changed(objects, object.id, () => object) : [...objects, object]
}

function changed<T extends Identified>(
  objects: readonly T[],
  id: string,
  change: (object: T) => T,
): readonly T[] {
  return objects.map((object) => (object.id === id ? change(object) : object))
}

const OVER = new Set<Run["status"]>(["completed", "failed", "cancelled", "expired", "incomplete"])

export function isOver(run: Run): boolean {
  return OVER.has(run.status)
}

/** The run that the thread is busy with. */
export function liveRun({ runs }: Transcript): Run | undefined {
  return runs.findLast((run) => !isOver(run))
}
