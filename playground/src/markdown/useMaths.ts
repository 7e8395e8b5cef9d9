import { useEffect, useState } from "react"

type Maths = typeof import("./maths").maths

let loaded: Maths | null = null

/** The plugins that set maths; KaTeX is fetched with the first text that has some. */
export function useMaths(isNeeded: boolean): Maths | null {
  const [maths, setMaths] = useState(loaded)
  useEffect(() => {
    if (!isNeeded || maths) return
    let isShown = true
    void import("./maths").then((module) => {
      loaded = module.maths
      if (isShown) setMaths(module.maths)
    })
    return () => {
      isShown = false
    }
  }, [isNeeded, maths])
  return isNeeded ? maths : null
}
