import { defaultKeymap, history, historyKeymap } from "@codemirror/commands"
import { json, jsonParseLinter } from "@codemirror/lang-json"
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language"
import { linter } from "@codemirror/lint"
import { EditorState } from "@codemirror/state"
import { drawSelection, EditorView, keymap, lineNumbers } from "@codemirror/view"
import { tags } from "@lezer/highlight"
import { useEffect, useRef } from "react"
import { styleNonce } from "./nonce"

interface Props {
  value: string
  onChange: (value: string) => void
  /** Attributes of the text field inside, for screen readers. */
  wiring: Record<string, string>
}

const colours = HighlightStyle.define([
  { tag: tags.propertyName, color: "light-dark(#283896, #aab6f5)" },
  { tag: tags.string, color: "light-dark(#176b3a, #8fd6a8)" },
  { tag: [tags.number, tags.bool, tags.null], color: "light-dark(#9a4a00, #f2b36b)" },
])

const look = EditorView.theme({
  "&": { fontSize: "13px", maxHeight: "420px", minHeight: "160px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mantine-font-family-monospace)", lineHeight: "1.55" },
  ".cm-gutters": {
    backgroundColor: "var(--page-sunken)",
    color: "var(--mantine-color-dimmed)",
    border: "none",
    minWidth: "36px",
  },
  ".cm-cursor": { borderLeftColor: "var(--mantine-color-text)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "light-dark(#d5dcf9, #34406f) !important",
  },
})

// Tab leaves the editor, as it leaves every other field.
const extensions = [
  EditorView.cspNonce.of(styleNonce()),
  history(),
  lineNumbers(),
  drawSelection(),
  indentOnInput(),
  bracketMatching(),
  json(),
  linter(jsonParseLinter()),
  syntaxHighlighting(colours),
  keymap.of([...defaultKeymap, ...historyKeymap]),
  EditorView.lineWrapping,
  look,
]

export default function CodeEditor({ value, onChange, wiring }: Props) {
  const place = useRef<HTMLDivElement>(null)
  const view = useRef<EditorView | null>(null)
  const latest = useRef({ value, onChange, wiring })
  latest.current = { value, onChange, wiring }

  useEffect(() => {
    if (!place.current) return
    const listener = EditorView.updateListener.of((update) => {
      if (update.docChanged) latest.current.onChange(update.state.doc.toString())
    })
    const attributes = EditorView.contentAttributes.of(() => latest.current.wiring)
    const state = EditorState.create({
      doc: latest.current.value,
      extensions: [...extensions, listener, attributes],
    })
    const made = new EditorView({ state, parent: place.current })
    view.current = made
    return () => made.destroy()
  }, [])

  // What comes from outside, such as a chosen example, replaces the text; what was typed here is there already.
  useEffect(() => {
    const text = view.current?.state.doc.toString()
    if (text === undefined || text === value) return
    view.current?.dispatch({ changes: { from: 0, to: text.length, insert: value } })
  }, [value])

  return <div ref={place} />
}
