import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { Autosaver } from "./autosave"

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A server whose answers the test gives. */
function server() {
  const received: string[] = []
  const answers: { resolve: () => void; reject: (error: Error) => void }[] = []
  const save = (value: string) => {
    received.push(value)
    return new Promise<void>((resolve, reject) => answers.push({ resolve, reject }))
  }
  return { received, save, next: () => answers.shift() }
}

describe("saving as one types", () => {
  it("waits for a pause and sends the newest value only", async () => {
    const { received, save, next } = server()
    const saver = new Autosaver(save, 600)
    saver.change("a", null)
    vi.advanceTimersByTime(500)
    saver.change("ab", null)
    vi.advanceTimersByTime(500)
    expect(received).toEqual([])
    vi.advanceTimersByTime(100)
    expect(received).toEqual(["ab"])
    expect(saver.current()).toEqual({ state: "saving" })
    next()?.resolve()
    await vi.waitFor(() => expect(saver.current()).toEqual({ state: "saved" }))
  })

  it("never has two requests under way, so that an old one can't overtake", async () => {
    const { received, save, next } = server()
    const saver = new Autosaver(save, 600)
    saver.change("first", null)
    vi.advanceTimersByTime(600)
    saver.change("second", null)
    vi.advanceTimersByTime(600)
    expect(received).toEqual(["first"])
    next()?.resolve()
    await vi.waitFor(() => expect(received).toEqual(["first", "second"]))
    expect(saver.current()).toEqual({ state: "saving" })
    next()?.resolve()
    await vi.waitFor(() => expect(saver.current()).toEqual({ state: "saved" }))
  })

  it("does not send what can't be saved, and says why", () => {
    const { received, save } = server()
    const saver = new Autosaver(save, 600)
    saver.change("good", null)
    saver.change("bad", "The name is too long.")
    vi.advanceTimersByTime(10_000)
    expect(received).toEqual([])
    expect(saver.current()).toEqual({ state: "blocked", problem: "The name is too long." })
  })

  it("stays blocked when an earlier value arrives after all", async () => {
    const { save, next } = server()
    const saver = new Autosaver(save, 600)
    saver.change("good", null)
    const sent = saver.flush()
    saver.change("bad", "The name is too long.")
    next()?.resolve()
    await sent
    expect(saver.current()).toEqual({ state: "blocked", problem: "The name is too long." })
  })

  it("keeps a value that failed for another try", async () => {
    const { received, save, next } = server()
    const saver = new Autosaver(save, 600)
    saver.change("a", null)
    const first = saver.flush()
    const away = new Error("away")
    next()?.reject(away)
    await first
    expect(saver.current()).toEqual({ state: "failed", error: away })
    const second = saver.flush()
    next()?.resolve()
    await second
    expect(received).toEqual(["a", "a"])
    expect(saver.current()).toEqual({ state: "saved" })
  })

  it("sends nothing when there is nothing to save", async () => {
    const { received, save } = server()
    await new Autosaver(save, 600).flush()
    expect(received).toEqual([])
  })
})
