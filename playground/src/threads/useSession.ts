import { useEffect, useState, useSyncExternalStore } from "react"
import { type Snapshot, ThreadSession } from "./session"

/**
 * The session of one thread, open as long as it is shown. Another thread takes another component. `first` answers a
 * thread that has only been written to.
 */
export function useSession(thread: string, first: string | null): [ThreadSession, Snapshot] {
  const [session] = useState(() => new ThreadSession(thread))
  const snapshot = useSyncExternalStore(session.subscribe, session.snapshot)
  useEffect(() => {
    session.open(first)
    return () => session.close()
  }, [session, first])
  return [session, snapshot]
}
