import { useEffect, useState, useSyncExternalStore } from "react"
import { Autosaver, type Saving } from "./autosave"

interface Editing<T> {
  value: T
  change: (value: T) => void
  saving: Saving
  /** Saves what waits at once. */
  flush: () => Promise<void>
}

/**
 * A value that is saved as it is edited, also when its editor closes; leaving the page unsaved asks first. `save` is the
 * one of the first render.
 */
export function useAutosave<T>(
  initial: T,
  save: (value: T) => Promise<void>,
  problemOf: (value: T) => string | null,
): Editing<T> {
  const [value, setValue] = useState(initial)
  const [saver] = useState(() => new Autosaver(save))
  const saving = useSyncExternalStore(saver.subscribe, saver.current)
  const isSaved = saving.state === "saved"

  useEffect(() => () => void saver.flush(), [saver])

  useEffect(() => {
    if (isSaved) return
    const ask = (event: BeforeUnloadEvent) => {
      void saver.flush()
      event.preventDefault()
    }
    window.addEventListener("beforeunload", ask)
    return () => window.removeEventListener("beforeunload", ask)
  }, [isSaved, saver])

  return {
    value,
    saving,
    change(next) {
      setValue(next)
      saver.change(next, problemOf(next))
    },
    flush: () => saver.flush(),
  }
}
