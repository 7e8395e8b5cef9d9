import { useEffect, useState } from "react"

const TICK_MILLISECONDS = 100

/** The time, which goes on as long as something waits for it. */
export function useNow(goesOn: boolean): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    if (!goesOn) return
    const ticking = setInterval(() => setNow(Date.now()), TICK_MILLISECONDS)
    return () => clearInterval(ticking)
  }, [goesOn])
  return now
}
