import { Text } from "@mantine/core"
import { lazy, memo, Suspense } from "react"
import type { MarkdownProps } from "./Rendered"

// The parser is as large as the rest of the chat, so words come first, plain, and their form when it is there.
const Rendered = lazy(() => import("./Rendered"))

/** A model's markdown. It can load nothing from elsewhere, and run nothing. */
export const Markdown = memo(function Markdown(props: MarkdownProps) {
  return (
    <Suspense
      fallback={
        <Text fz="0.9375rem" lh={1.65} style={{ whiteSpace: "pre-wrap" }}>
          {props.text}
        </Text>
      }
    >
      <Rendered {...props} />
    </Suspense>
  )
})
