import { type InfiniteData, type QueryClient, type QueryKey, useInfiniteQuery } from "@tanstack/react-query"

/** How many objects of a list are read at first, and with each "Show more". */
const AT_ONCE = 1000

/** A page as the `openai` package gives it. */
interface ApiPage<T> {
  data: T[]
  hasNextPage(): boolean
  getNextPage(): PromiseLike<ApiPage<T>>
}

/** Objects that follow one another in a list. */
interface Stretch<T> {
  items: T[]
  /** The last object's id, where others follow it. */
  after: string | undefined
}

type Read<T> = InfiniteData<Stretch<T>>

interface Identified {
  id: string
}

interface Options<T> {
  key: QueryKey
  /** Asks for the page that follows an object; the first one where there is none. */
  read: (after: string | undefined) => PromiseLike<ApiPage<T>>
  isEnabled?: boolean
  /** After how many milliseconds the list is read again, while one of its objects is about to change. */
  watch?: { isChanging: (item: T) => boolean; milliseconds: number }
}

/** A list of the API, as much of it as was asked for: `more` reads on, and is null where it has been read to its end. */
export function useList<T extends Identified>({ key, read, isEnabled = true, watch }: Options<T>) {
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }) => stretch(read(pageParam)),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ after }) => after,
    enabled: isEnabled,
    select: itemsOf<T>,
    refetchInterval: ({ state }) =>
      watch && state.data && itemsOf(state.data).some(watch.isChanging) ? watch.milliseconds : false,
  })
  const { data, error, refetch, isLoading, isSuccess, isFetchingNextPage, hasNextPage, fetchNextPage } = query
  const more = hasNextPage ? () => void fetchNextPage() : null
  return { data, error, refetch, isLoading, isSuccess, more, isReadingMore: isFetchingNextPage }
}

async function stretch<T extends Identified>(first: PromiseLike<ApiPage<T>>): Promise<Stretch<T>> {
  let page = await first
  const items = [...page.data]
  while (items.length < AT_ONCE && page.hasNextPage()) {
    page = await page.getNextPage()
    items.push(...page.data)
  }
  return { items, after: page.hasNextPage() ? items.at(-1)?.id : undefined }
}

function itemsOf<T>({ pages }: Read<T>): T[] {
  return pages.flatMap(({ items }) => items)
}

/** Shows an object that the server has just answered with, in its place in a list or as the newest. */
export function putIn<T extends Identified>(queries: QueryClient, key: QueryKey, item: T): void {
  queries.setQueryData<Read<T>>(key, (read) => {
    if (!read) return read
    const isKnown = itemsOf(read).some(({ id }) => id === item.id)
    const put = (items: T[], isFirst: boolean) => {
      if (isKnown) return items.map((each) => (each.id === item.id ? item : each))
      return isFirst ? [item, ...items] : items
    }
    const pages = read.pages.map((page, place) => ({ ...page, items: put(page.items, place === 0) }))
    return { ...read, pages }
  })
}

/** Shows an object of a list no longer. */
export function takeOut<T extends Identified>(queries: QueryClient, key: QueryKey, id: string): void {
  queries.setQueryData<Read<T>>(key, (read) => {
    const without = (items: T[]) => items.filter((each) => each.id !== id)
    return read && { ...read, pages: read.pages.map((page) => ({ ...page, items: without(page.items) })) }
  })
}
