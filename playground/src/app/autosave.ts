/** How what is on the screen stands to what the server has. */
export type Saving =
  | { state: "saved" }
  /** A change waits for the next pause in typing, or is on its way. */
  | { state: "saving" }
  /** What is on the screen can't be saved as it is; `problem` says why. */
  | { state: "blocked"; problem: string }
  | { state: "failed"; error: unknown }

/**
 * Saves a value as it is edited: after a pause in typing, one request at a time, always the newest value. A value that
 * is not valid waits until it is.
 */
export class Autosaver<T> {
  #pending: { value: T } | null = null
  #isSending = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #saving: Saving = { state: "saved" }
  readonly #listeners = new Set<() => void>()

  constructor(
    private readonly save: (value: T) => Promise<void>,
    private readonly pauseMilliseconds = 600,
  ) {}

  change(value: T, problem: string | null): void {
    clearTimeout(this.#timer)
    if (problem !== null) {
      this.#pending = null
      this.#show({ state: "blocked", problem })
      return
    }
    this.#pending = { value }
    this.#show({ state: "saving" })
    this.#timer = setTimeout(() => void this.#send(), this.pauseMilliseconds)
  }

  /** Saves what waits at once: the editor closes, or the user asks to try again. */
  flush(): Promise<void> {
    clearTimeout(this.#timer)
    return this.#send()
  }

  current = (): Saving => this.#saving

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async #send(): Promise<void> {
    if (this.#isSending || this.#pending === null) return
    const sent = this.#pending
    this.#pending = null
    this.#isSending = true
    try {
      this.#show({ state: "saving" })
      await this.save(sent.value)
      this.#isSending = false
      if (this.#pending === null && this.#saving.state === "saving") this.#show({ state: "saved" })
    } catch (error) {
      this.#isSending = false
      // A newer value takes the place of one that failed; it may be the cure.
      if (this.#pending === null && this.#saving.state === "saving") {
        this.#pending = sent
        this.#show({ state: "failed", error })
        return
      }
    }
    await this.#send()
  }

  #show(saving: Saving): void {
    this.#saving = saving
    for (const listener of this.#listeners) listener()
  }
}
