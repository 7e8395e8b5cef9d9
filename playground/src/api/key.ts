// The key lives in this tab's session only: closing the tab forgets it, and no other tab or site can read it.
const NAME = "adjutant.key"

const listeners = new Set<() => void>()
let refused = false

export function storedKey(): string | null {
  return sessionStorage.getItem(NAME)
}

export function keepKey(key: string): void {
  sessionStorage.setItem(NAME, key)
  setRefused(false)
}

export function forgetKey(): void {
  sessionStorage.removeItem(NAME)
}

/** Whether the server has refused the key that we have, or wants one and has none. */
export function isKeyRefused(): boolean {
  return refused
}

export function setRefused(value: boolean): void {
  if (value === refused) return
  refused = value
  for (const listener of listeners) listener()
}

export function onKeyRefused(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
