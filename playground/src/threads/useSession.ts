import { useEffect, useState, useSyncExternalStore } from "react"
import { type Snapshot, ThreadSession } from "./session"

/** The session of one thread, open as long as it is shown. Another thread takes another component. */
export function useSession(thread: string): [ThreadSession, Snapshot] {
  const [session] = useState(() => new ThreadSession(thread))
  const snapshot = useSyncExternalStore(session.subscribe, session.snapshot)
  useEffect(() => {
    session.open()
    return () => session.close()
  }, [session])
  return [session, snapshot]
}
