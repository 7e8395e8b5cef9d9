import { useEffect, useState } from "react"

type MathsModule = typeof import("./maths")

let loaded: MathsModule | null = null

/** What sets maths; KaTeX is fetched with the first text that has some. */
export function useMaths(isNeeded: boolean): MathsModule | null {
  const [maths, setMaths] = useState(loaded)
  useEffect(() => {
    if (!isNeeded || maths) return
    let isShown = true
    import("./maths").then(
      (module) => {
        loaded = module
        if (isShown) setMaths(module)
      },
      // Out of reach, it is shown as it was written.
      () => {},
    )
    return () => {
      isShown = false
    }
  }, [isNeeded, maths])
  return isNeeded ? maths : null
}
