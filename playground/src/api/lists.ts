/** How many objects a page shows of a list at most; who has more finds them by search in a program. */
export const MOST = 1000

/** The first objects of a list, over as many of its pages as that takes. */
export async function collect<T>(pages: AsyncIterable<T>, most = MOST): Promise<T[]> {
  const items: T[] = []
  for await (const item of pages) {
    items.push(item)
    if (items.length >= most) break
  }
  return items
}
