import type { Run, RunStep } from "../threads/objects"
import type { Arrival } from "../threads/session"

/** When something began and ended, in milliseconds of one clock. */
export interface Span {
  readonly start: number
  /** Null while it goes on. */
  readonly end: number | null
  /** Whether only whole seconds are known. */
  readonly isCoarse: boolean
}

export interface Bar {
  readonly step: RunStep
  readonly span: Span
}

export interface Timeline {
  readonly run: Span
  readonly bars: readonly Bar[]
}

/**
 * A run and its steps in time. The API tells seconds; of a run that was heard as it happened, the arrival of its events
 * tells more.
 */
export function timeline(run: Run, steps: readonly RunStep[], arrivals: readonly Arrival[]): Timeline {
  const times = arrivalTimes(arrivals)
  const bars = steps
    .filter(({ run_id }) => run_id === run.id)
    .map((step) => ({ step, span: spanOf(step, endOf(step), times) }))
  return { run: spanOf(run, endOf(run), times), bars }
}

/** What ended it, whichever way: in seconds. */
function endOf(object: Run | RunStep): number | null {
  const expired = "expired_at" in object ? object.expired_at : null
  // A run keeps its expiry while it waits; only one that has expired ended so.
  const expiry = object.object === "thread.run" && object.status === "expired" ? object.expires_at : null
  return object.completed_at ?? object.failed_at ?? object.cancelled_at ?? expired ?? expiry
}

interface Times {
  readonly begun: ReadonlyMap<string, number>
  readonly ended: ReadonlyMap<string, number>
}

const END = /^thread\.run(\.step)?\.(completed|failed|cancelled|expired|incomplete)$/

function arrivalTimes(arrivals: readonly Arrival[]): Times {
  const begun = new Map<string, number>()
  const ended = new Map<string, number>()
  for (const { at, event } of arrivals) {
    if (event.event === "thread.run.created" || event.event === "thread.run.step.created") {
      begun.set(event.data.id, at)
    } else if (END.test(event.event) && "id" in event.data) {
      ended.set(event.data.id, at)
    }
  }
  return { begun, ended }
}

/** Told later than this after it happened, an event was told again. */
const FRESH_MILLISECONDS = 2_500

function spanOf(object: Run | RunStep, end: number | null, { begun, ended }: Times): Span {
  const heardBegin = fresh(begun.get(object.id), object.created_at)
  const heardEnd = fresh(ended.get(object.id), end)
  if (heardBegin !== null && (end === null || heardEnd !== null)) {
    return { start: heardBegin, end: heardEnd, isCoarse: false }
  }
  return { start: object.created_at * 1000, end: end === null ? null : end * 1000, isCoarse: true }
}

function fresh(at: number | undefined, seconds: number | null): number | null {
  if (at === undefined || seconds === null) return null
  return Math.abs(at - seconds * 1000) < FRESH_MILLISECONDS ? at : null
}

/** Where a bar stands in its run, in percent. */
export function placed({ run }: Timeline, { span }: Bar, now: number): { left: number; width: number } {
  const length = Math.max((run.end ?? now) - run.start, 1)
  const percent = (time: number) => Math.min(100, Math.max(0, ((time - run.start) / length) * 100))
  const left = percent(span.start)
  return { left, width: percent(span.end ?? now) - left }
}

export interface EventGroup {
  readonly name: string
  readonly arrivals: readonly [Arrival, ...Arrival[]]
}

/** Events as they came, with deltas that follow each other as one. */
export function grouped(arrivals: readonly Arrival[]): EventGroup[] {
  const groups: { name: string; arrivals: [Arrival, ...Arrival[]] }[] = []
  for (const arrival of arrivals) {
    const name = arrival.event.event
    const last = groups.at(-1)
    if (last?.name === name && name.endsWith(".delta")) last.arrivals.push(arrival)
    else groups.push({ name, arrivals: [arrival] })
  }
  return groups
}
