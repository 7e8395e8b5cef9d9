/** A text as JSON that is easy to read, if it is JSON; else as it is. */
export function jsonOf(text: string): { code: string; language: string | null } {
  try {
    return { code: JSON.stringify(JSON.parse(text), null, 2), language: "json" }
  } catch {
    return { code: text, language: null }
  }
}

/** The members of a JSON object on one line, without its punctuation; other texts as they are. */
export function briefly(text: string): string {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== "object" || value === null || Array.isArray(value)) return text
    return Object.entries(value)
      .map(([name, member]) => `${name}: ${typeof member === "string" ? member : JSON.stringify(member)}`)
      .join(", ")
  } catch {
    return text
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
