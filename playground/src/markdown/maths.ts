import "katex/dist/katex.min.css"
import type { Options } from "react-markdown"
import rehypeKatex from "rehype-katex"
import remarkMath from "remark-math"

type Plugin = NonNullable<Options["remarkPlugins"]>[number]

/** Maths in double dollars. What a model writes in it may not name addresses, or grow without end. */
export const maths: { remark: Plugin; rehype: Plugin } = {
  remark: [remarkMath, { singleDollarTextMath: false }],
  rehype: [rehypeKatex, { trust: false, strict: "ignore", maxSize: 20, maxExpand: 500 }],
}
