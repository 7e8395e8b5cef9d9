/** A text as JSON that is easy to read, if it is JSON; else as it is. */
export function jsonOf(text: string): { code: string; language: string | null } {
  try {
    return { code: JSON.stringify(JSON.parse(text), null, 2), language: "json" }
  } catch {
    return { code: text, language: null }
  }
}

/** Why a text that begins like JSON is none; null where it is, or was not meant to be. */
export function jsonFault(text: string): string | null {
  if (!/^\s*[[{]/.test(text)) return null
  try {
    JSON.parse(text)
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
