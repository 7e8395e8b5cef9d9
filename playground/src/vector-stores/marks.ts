export interface Stretch {
  text: string
  isMarked: boolean
}

/**
 * Cuts a text where words stand that a search matched. The server's words are those of its index: small letters, and for
 * Korean, Japanese and Chinese pairs of characters, so that neighbours overlap; what overlaps or touches is one stretch.
 */
export function mark(text: string, words: string[]): Stretch[] {
  const isMarked = markedCharacters(text, words)
  const stretches: Stretch[] = []
  for (let start = 0; start < text.length; ) {
    let end = start + 1
    while (end < text.length && isMarked[end] === isMarked[start]) end++
    stretches.push({ text: text.slice(start, end), isMarked: isMarked[start] === 1 })
    start = end
  }
  return stretches
}

function markedCharacters(text: string, words: string[]): Uint8Array {
  const marked = new Uint8Array(text.length)
  const small = text.toLowerCase()
  // A few letters change their length when made small; then positions would not fit.
  if (small.length !== text.length) return marked
  for (const word of new Set(words.map((word) => word.toLowerCase()).filter(Boolean))) {
    for (let at = small.indexOf(word); at >= 0; at = small.indexOf(word, at + 1)) {
      if (standsAlone(small, at, word)) marked.fill(1, at, at + word.length)
    }
  }
  return marked
}

/** "in" is not found within "find". Scripts without spaces between words have no such borders. */
function standsAlone(text: string, at: number, word: string): boolean {
  const isLetter = (character: string | undefined) =>
    character !== undefined && /[\p{L}\p{N}]/u.test(character)
  const isUnspaced = /[\p{Script=Hangul}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(word)
  return isUnspaced || !isLetter(text[at - 1])
}
