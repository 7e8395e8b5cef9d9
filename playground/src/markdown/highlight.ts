import { toJsxRuntime } from "hast-util-to-jsx-runtime"
import { common, createLowlight } from "lowlight"
import type { ReactNode } from "react"
import { Fragment, jsx, jsxs } from "react/jsx-runtime"

const lowlight = createLowlight(common)

/** Longer programs are shown in one colour: each piece that streams in is coloured anew, with all before it. */
const LONGEST = 20_000

/** A program in colours, or null where its language is not known. */
export function highlight(code: string, language: string): ReactNode {
  if (!lowlight.registered(language) || code.length > LONGEST) return null
  return toJsxRuntime(lowlight.highlight(language, code), { Fragment, jsx, jsxs })
}
