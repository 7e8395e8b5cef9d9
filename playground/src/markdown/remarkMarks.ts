import type { PhrasingContent, Root, Text } from "mdast"
import { SKIP, visit } from "unist-util-visit"
import { splitMarks } from "./notation"

/** Makes elements `<cite data-mark="3">` of the numbered marks in texts. */
export function remarkMarks() {
  return (tree: Root) => {
    visit(tree, "text", (node, place, parent) => {
      const pieces = splitMarks(node.value)
      if (!parent || place === undefined || pieces.every((piece) => typeof piece === "string")) return
      parent.children.splice(place, 1, ...pieces.map(nodeOf))
      return [SKIP, place + pieces.length]
    })
  }
}

function nodeOf(piece: string | number): PhrasingContent {
  if (typeof piece === "string") return { type: "text", value: piece }
  const mark: Text = { type: "text", value: "" }
  // remark-rehype makes of any node what its data says.
  mark.data = { hName: "cite", hProperties: { dataMark: piece }, hChildren: [] }
  return mark
}
