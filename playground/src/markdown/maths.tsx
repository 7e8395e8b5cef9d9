import "katex/dist/katex.min.css"
import katex from "katex"
import { useLayoutEffect, useRef } from "react"
import type { Options } from "react-markdown"
import remarkMath from "remark-math"

type Plugin = NonNullable<Options["remarkPlugins"]>[number]

/** Finds maths, in double dollars. */
export const remarkMaths: Plugin = [remarkMath, { singleDollarTextMath: false }]

/** Maths as it is printed. What a model writes in it may not name addresses, or grow without end. */
export function Maths({ tex, isDisplayed }: { tex: string; isDisplayed: boolean }) {
  const place = useRef<HTMLSpanElement>(null)
  // Set through the DOM: as HTML it would come with styles in attributes, which the server's policy does not let in.
  useLayoutEffect(() => {
    if (!place.current) return
    const limits = { trust: false, maxSize: 20, maxExpand: 500 }
    katex.render(tex, place.current, {
      displayMode: isDisplayed,
      throwOnError: false,
      strict: "ignore",
      ...limits,
    })
  }, [tex, isDisplayed])
  return <span ref={place} />
}
