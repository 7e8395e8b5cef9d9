import { useMutation, useQueries, useQuery, useQueryClient } from "@tanstack/react-query"
import { NotFoundError } from "openai"
import { CursorPage } from "openai/pagination"
import { useMemo } from "react"
import { api } from "../api/client"
import { putIn, takeOut, useList } from "../api/lists"
import { textOf, titleOf } from "./entries"
import type { Thread } from "./objects"

const THREADS = ["threads"] as const
const LIST = [...THREADS, "list"] as const

/** Of threads without a name, how many are named by their first words: each takes a request of its own. */
const NAMED_BY_WORDS = 50

/** All threads, the newest first, or null where the server does not list them. */
export function useThreads() {
  const list = useList<Thread>({
    key: LIST,
    read: (after) =>
      api().getAPIList<Thread, CursorPage<Thread>>("/threads", CursorPage, { query: { limit: 100, after } }),
  })
  return list.error instanceof NotFoundError ? { ...list, data: null, error: null, more: null } : list
}

export function useThread(id: string) {
  return useQuery({
    queryKey: [...THREADS, id],
    queryFn: () => api().beta.threads.retrieve(id),
  })
}

/** The names of threads: their title, else the first words that were said in them. */
export function useThreadNames(threads: readonly Thread[]): Map<string, string> {
  const unnamed = threads.filter((thread) => !titled(thread)).slice(0, NAMED_BY_WORDS)
  const words = useQueries({
    queries: unnamed.map(({ id }) => ({
      queryKey: [...THREADS, id, "first-words"],
      queryFn: async () => {
        const { data } = await api().beta.threads.messages.list(id, { order: "asc", limit: 1 })
        return data[0] ? titleOf(textOf(data[0])) : ""
      },
      staleTime: 60_000,
    })),
    combine: (answers) => answers.map(({ data }) => data ?? ""),
  })
  return useMemo(() => {
    const names = new Map(threads.map((thread) => [thread.id, titled(thread)]))
    unnamed.forEach(({ id }, place) => names.set(id, words[place] ?? ""))
    return names
  }, [threads, unnamed, words])
}

export function titled({ metadata }: Thread): string {
  return metadata?.title ?? ""
}

export function useRenameThread() {
  const keep = useKeepThread()
  return useMutation({
    mutationFn: ({ thread, title }: { thread: Thread; title: string }) =>
      api().beta.threads.update(thread.id, { metadata: { ...thread.metadata, title } }),
    onSuccess: keep,
  })
}

export function useDeleteThread() {
  const queries = useQueryClient()
  return async (id: string) => {
    await api().beta.threads.delete(id)
    takeOut<Thread>(queries, LIST, id)
  }
}

/** Shows a thread that the server has just answered with, in its place in the list or as the newest. */
export function useKeepThread() {
  const queries = useQueryClient()
  return (thread: Thread) => {
    queries.setQueryData([...THREADS, thread.id], thread)
    putIn(queries, LIST, thread)
  }
}
