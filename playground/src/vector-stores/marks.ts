export interface Stretch {
  text: string
  isMarked: boolean
}

// So much of a word has to stand in a text at least, where the whole word does not.
const LEAST_LETTERS = 4
const LEAST_SYLLABLES = 2

/**
 * Cuts a text where words of a question stand that a search matched. The search matches words whatever their endings, so
 * of a word that does not stand there as it was asked for, its longest beginning that does is marked.
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
    const least = Math.min(word.length, isUnspaced(word) ? LEAST_SYLLABLES : LEAST_LETTERS)
    for (let length = word.length; length >= least; length--) {
      const beginning = word.slice(0, length)
      const places = placesOf(beginning, small)
      for (const at of places) marked.fill(1, at, at + length)
      if (places.length > 0) break
    }
  }
  return marked
}

/** Where a word begins in a text. "in" is not found within "find"; scripts without spaces have no such borders. */
function placesOf(word: string, text: string): number[] {
  const places: number[] = []
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (isUnspaced(word) || !/[\p{L}\p{N}]/u.test(text[at - 1] ?? "")) places.push(at)
  }
  return places
}

function isUnspaced(word: string): boolean {
  return /[\p{Script=Hangul}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(word)
}
