import { conversation, type Entry, SUPERSEDED } from "./entries"
import type { Message, Run, StreamEvent } from "./objects"
import {
  cancelRun,
  createMessage,
  deleteMessage,
  type Events,
  fetchTranscript,
  followRun,
  type NewMessage,
  setRunMetadata,
  startRun,
  submitOutputs,
  type ToolOutput,
} from "./requests"
import { EMPTY, heard, liveRun, preceded, stored, type Transcript, without } from "./transcript"

/** An event of a run's stream, and when it came, in milliseconds of `Date.now`. */
export interface Arrival {
  readonly at: number
  readonly event: StreamEvent
}

export interface Snapshot {
  readonly transcript: Transcript
  readonly hasEarlier: boolean
  /** Whether the thread has been read. */
  readonly isLoaded: boolean
  /** Whether something is being asked of the server: a run streams, or messages change. */
  readonly isBusy: boolean
  readonly fault: SessionFault | null
  /** What the streams of this session have told, by run. */
  readonly arrivals: ReadonlyMap<string, readonly Arrival[]>
}

export interface SessionFault {
  readonly error: unknown
  /** Tries once more; null where that is done elsewhere. */
  readonly again: (() => void) | null
}

const NOTHING: Snapshot = {
  transcript: EMPTY,
  hasEarlier: false,
  isLoaded: false,
  isBusy: false,
  fault: null,
  arrivals: new Map(),
}

/** What is heard is shown this often: more would cost more than eyes can follow. */
const FRAME_MS = 40
/** A stream that breaks off is taken up again this often, each time after as long a pause. */
const RESUMPTIONS = 5
const PAUSE_MS = 1_000

/**
 * One thread as it is shown: read once, and kept up to date by what this session does to it. A run goes on at the
 * server when the session is closed; one that is opened on a thread with a run at work listens to the rest of it.
 */
export class ThreadSession {
  readonly thread: string
  #snapshot = NOTHING
  #listeners = new Set<() => void>()
  #closing = new AbortController()
  #waiting: Arrival[] = []
  #frame: ReturnType<typeof setTimeout> | undefined

  constructor(thread: string) {
    this.thread = thread
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  readonly snapshot = (): Snapshot => this.#snapshot

  /** Reads the thread. If nothing was answered in it yet, `first` answers. */
  open(first: string | null = null): void {
    this.#closing = new AbortController()
    const read = async (signal: AbortSignal) => {
      const { transcript, hasEarlier } = await fetchTranscript(this.thread, EMPTY, signal)
      this.#show({ transcript, hasEarlier, isLoaded: true })
      const run = liveRun(transcript)
      if (run && run.status !== "requires_action") await this.#follow(run, signal)
    }
    const answer = () => {
      if (first !== null && this.#snapshot.transcript.runs.length === 0) void this.run(first)
    }
    void this.#attempt(read, { next: answer })
  }

  close(): void {
    this.#closing.abort()
    clearTimeout(this.#frame)
    this.#frame = undefined
    this.#waiting = []
  }

  showEarlier(): Promise<boolean> {
    return this.#attempt(async (signal) => {
      const page = await fetchTranscript(this.thread, this.#snapshot.transcript, signal)
      const transcript = preceded(this.#snapshot.transcript, page.transcript)
      this.#show({ transcript, hasEarlier: page.hasEarlier })
    })
  }

  /** Adds a message, and lets the assistant answer. True once the message is stored. */
  send(message: NewMessage, assistant: string): Promise<boolean> {
    const add = async () => this.#put(await createMessage(this.thread, message))
    // Who wrote it still has it, and sends it again from there.
    return this.#attempt(add, { next: () => this.run(assistant), canRepeat: false })
  }

  run(assistant: string): Promise<boolean> {
    return this.#attempt((signal) => this.#hear(() => startRun(this.thread, assistant, signal), signal))
  }

  submit(run: Run, outputs: readonly ToolOutput[]): Promise<boolean> {
    return this.#attempt((signal) => this.#hear(() => submitOutputs(run, outputs, signal), signal))
  }

  stop(): void {
    const run = liveRun(this.#snapshot.transcript)
    if (!run) return
    const isHeard = this.#snapshot.isBusy
    const cancelling = async () => {
      const cancelled = await cancelRun(run)
      // By the time this answer comes, the stream may have told the end already.
      if (liveRun(this.#snapshot.transcript)?.id === run.id) this.#put(cancelled)
    }
    if (isHeard) {
      // The stream that is being heard tells how it ends.
      cancelling().catch((error: unknown) => this.#show({ fault: { error, again: () => this.stop() } }))
    } else {
      void this.#attempt(async (signal) => {
        await cancelling()
        await this.#follow(run, signal)
      })
    }
  }

  /** Says something else in place of a message, and discards all that followed. */
  resend(message: Message, changed: NewMessage, assistant: string): Promise<boolean> {
    const replace = async () => {
      await this.#discardFrom((entry) => entry.kind === "message" && entry.message.id === message.id)
      this.#put(await createMessage(this.thread, changed))
    }
    return this.#attempt(replace, { next: () => this.run(assistant) })
  }

  /** Lets what a run answered be answered once more, and discards its answer and all that followed. */
  askAgain(run: Run, assistant: string): Promise<boolean> {
    const discard = () => this.#discardFrom((entry) => entry.kind === "answer" && entry.run.id === run.id)
    return this.#attempt(discard, { next: () => this.run(assistant) })
  }

  /**
   * Deletes the newest first, so that whatever breaks off between leaves a thread that makes sense. To do it again
   * goes on with what is left.
   */
  async #discardFrom(isFrom: (entry: Entry) => boolean): Promise<void> {
    const entries = conversation(this.#snapshot.transcript)
    const from = entries.findIndex(isFrom)
    const discarded = from < 0 ? [] : entries.slice(from)
    for (const message of discarded.flatMap(messagesOf).toReversed()) {
      await deleteMessage(message)
      this.#show({ transcript: without(this.#snapshot.transcript, message.id) })
    }
    for (const run of discarded.flatMap((entry) => (entry.kind === "answer" ? [entry.run] : []))) {
      this.#put(await setRunMetadata(run, { ...run.metadata, [SUPERSEDED]: "true" }))
    }
  }

  /** Does something at the server, and then what is `next`. True once it is done. */
  async #attempt(
    action: (signal: AbortSignal) => Promise<void>,
    { next, canRepeat = true }: { next?: () => unknown; canRepeat?: boolean } = {},
  ): Promise<boolean> {
    const { signal } = this.#closing
    this.#show({ isBusy: true, fault: null })
    try {
      await action(signal)
    } catch (error) {
      if (signal.aborted) return false
      // Of a run at work, what matters is how it goes on; to ask for it once more would be refused.
      const isAtWork = liveRun(this.#snapshot.transcript) !== undefined
      const repeat = canRepeat ? () => void this.#attempt(action, { next }) : null
      this.#fail(error, isAtWork ? () => this.open() : repeat)
      return false
    }
    if (signal.aborted) return false
    this.#show({ isBusy: false })
    void next?.()
    return true
  }

  #fail(error: unknown, again: (() => void) | null): void {
    this.#show({ isBusy: false, fault: { error, again } })
  }

  #follow(run: Run, signal: AbortSignal): Promise<void> {
    this.#forgetArrivals(run)
    return this.#hear(() => followRun(run, signal), signal)
  }

  /** Hears a stream to its end; one that breaks off before its run has ended is taken up again. */
  async #hear(listen: () => Promise<Events>, signal: AbortSignal): Promise<void> {
    await this.#hearOnce(listen)
    for (let resumption = 1; resumption <= RESUMPTIONS && !signal.aborted; resumption += 1) {
      const run = liveRun(this.#snapshot.transcript)
      if (!run || run.status === "requires_action") return
      await new Promise((resolve) => setTimeout(resolve, (resumption - 1) * PAUSE_MS))
      this.#forgetArrivals(run)
      const isLast = resumption === RESUMPTIONS
      await this.#hearOnce(() => followRun(run, signal)).catch((error: unknown) => {
        if (isLast) throw error
      })
    }
  }

  async #hearOnce(listen: () => Promise<Events>): Promise<void> {
    const events = await listen()
    try {
      for await (const event of events) {
        this.#waiting.push({ at: Date.now(), event })
        this.#frame ??= setTimeout(() => this.#showWaiting(), FRAME_MS)
      }
    } catch (error) {
      this.#showWaiting()
      // What was heard of a run says that it is at work: the stream broke off, the run did not.
      if (!liveRun(this.#snapshot.transcript)) throw error
    }
    this.#showWaiting()
  }

  #showWaiting(): void {
    clearTimeout(this.#frame)
    this.#frame = undefined
    const waiting = this.#waiting
    this.#waiting = []
    if (waiting.length === 0) return
    const transcript = waiting.reduce((before, { event }) => heard(before, event), this.#snapshot.transcript)
    const run = transcript.runs.at(-1)
    const arrivals = new Map(this.#snapshot.arrivals)
    if (run) arrivals.set(run.id, [...(arrivals.get(run.id) ?? []), ...waiting])
    this.#show({ transcript, arrivals })
  }

  #forgetArrivals(run: Run): void {
    const arrivals = new Map(this.#snapshot.arrivals)
    arrivals.delete(run.id)
    this.#show({ arrivals })
  }

  #put(object: Message | Run): void {
    this.#show({ transcript: stored(this.#snapshot.transcript, object) })
  }

  #show(changes: Partial<Snapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...changes }
    for (const listener of this.#listeners) listener()
  }
}

function messagesOf(entry: Entry): Message[] {
  if (entry.kind === "message") return [entry.message]
  return entry.parts.flatMap((part) => (part.kind === "message" ? [part.message] : []))
}
