import { describe, expect, it } from "vitest"
import type { Run, RunStep, StreamEvent } from "../threads/objects"
import type { Arrival } from "../threads/session"
import { grouped, placed, timeline } from "./timeline"

const SECOND = 1_700_000_000
const run = { id: "run_1", object: "thread.run", created_at: SECOND, completed_at: SECOND + 4 } as Run
const step = {
  id: "step_1",
  object: "thread.run.step",
  run_id: "run_1",
  created_at: SECOND + 1,
  completed_at: SECOND + 2,
} as RunStep

function arrival(name: string, id: string, milliseconds: number): Arrival {
  return { at: SECOND * 1000 + milliseconds, event: { event: name, data: { id } } as StreamEvent }
}

const live = [
  arrival("thread.run.created", "run_1", 120),
  arrival("thread.run.step.created", "step_1", 1_120),
  arrival("thread.run.step.completed", "step_1", 2_620),
  arrival("thread.run.completed", "run_1", 4_120),
]

describe("a run in time", () => {
  it("is known to the second from what the API keeps", () => {
    const { run: span, bars } = timeline(run, [step], [])
    expect(span).toEqual({ start: SECOND * 1000, end: (SECOND + 4) * 1000, isCoarse: true })
    expect(bars[0]?.span).toEqual({ start: (SECOND + 1) * 1000, end: (SECOND + 2) * 1000, isCoarse: true })
  })

  it("is known better from events that were heard as they happened", () => {
    const line = timeline(run, [step], live)
    const [bar] = line.bars
    expect(bar?.span).toEqual({ start: SECOND * 1000 + 1_120, end: SECOND * 1000 + 2_620, isCoarse: false })
    expect(bar && placed(line, bar, 0)).toEqual({ left: 25, width: 37.5 })
  })

  it("is not known better from events that were told again later", () => {
    const late = live.map(({ event }) => ({ at: (SECOND + 60) * 1000, event }))
    expect(timeline(run, [step], late).bars[0]?.span.isCoarse).toBe(true)
  })

  it("has no end while it goes on", () => {
    const working = { ...run, completed_at: null }
    const open = { ...step, completed_at: null }
    const line = timeline(working, [open], live.slice(0, 2))
    const [bar] = line.bars
    expect(bar?.span.end).toBeNull()
    expect(bar && placed(line, bar, SECOND * 1000 + 2_120)).toEqual({ left: 50, width: 50 })
  })

  it("leaves out the steps of other runs", () => {
    expect(timeline(run, [{ ...step, run_id: "run_2" }], []).bars).toEqual([])
  })
})

it("shows deltas that follow each other as one", () => {
  const names = [
    "thread.message.created",
    "thread.message.delta",
    "thread.message.delta",
    "thread.message.completed",
  ]
  const groups = grouped(names.map((name, place) => arrival(name, "msg_1", place)))
  expect(groups.map(({ name, arrivals }) => [name, arrivals.length])).toEqual([
    ["thread.message.created", 1],
    ["thread.message.delta", 2],
    ["thread.message.completed", 1],
  ])
})
