import type { KeyboardEvent } from "react"

/** What browsers report for keys that an input method takes, also where the flag says otherwise. */
const TAKEN_BY_INPUT_METHOD = 229

/** Whether a key sends what is written: Enter, but not one that ends a word of Korean, Japanese or Chinese. */
export function isSendKey({ key, shiftKey, altKey, nativeEvent }: KeyboardEvent): boolean {
  const isComposing = nativeEvent.isComposing || nativeEvent.keyCode === TAKEN_BY_INPUT_METHOD
  return key === "Enter" && !shiftKey && !altKey && !isComposing
}
